// The app page: what the guard in the frame says about its session, and the theme handed on to it.
"use strict";

const frame = document.getElementById("frame");
const wait = document.getElementById("wait");
const appOrigin = frame.dataset.origin;
const PLACES = {
  "sign-out": "/sign-out",
  dashboard: "/gradio",
  "admin-dashboard": "/gradio/admin",
  "user-dashboard": "/gradio/user",
};
const LATE = 20_000; // ms until the page says that this takes long

let answered = false;
let late = 0;

function show(id) {
  for (const notice of document.querySelectorAll(".notice")) {
    // What became of the link stays true, whatever the app does next.
    if (notice.id !== "notice-place") notice.hidden = notice.id !== id;
  }
}

function waitFor(text) {
  wait.hidden = false;
  wait.querySelector("p").textContent = text;
  clearTimeout(late);
  late = setTimeout(() => show("notice-late"), LATE);
}

function settle() {
  answered = true;
  clearTimeout(late);
  wait.hidden = true;
}

function tell(message) {
  // Never "*": whatever else may stand in the frame learns nothing.
  frame.contentWindow.postMessage({ source: "gradio-portal", ...message }, appOrigin);
}

// The frame only knows that its own session ended; whether the sign-in did, this page's address tells.
async function sessionEnded() {
  settle();
  let answer;
  try {
    answer = await fetch(location.href, { method: "HEAD", redirect: "manual", cache: "no-store" });
  } catch {
    show("notice-ended");
    return;
  }
  if (answer.type === "opaqueredirect") show("notice-signed-out");
  else if (answer.status === 403 || answer.status === 404) show("notice-closed");
  else show("notice-ended");
}

// An app's own "Log out" and the like lead to pages of the portal, which no frame shows.  Only a person's click goes
// there by itself, as with any link that leaves the frame; each of these pages asks before it changes anything.
function leaveFor(path) {
  if (navigator.userActivation && navigator.userActivation.isActive) location.assign(path);
}

window.addEventListener("message", (event) => {
  // Both: any page may claim to be the app, and the app may be open in other windows too.
  if (event.origin !== appOrigin || event.source !== frame.contentWindow) return;
  const message = event.data;
  if (typeof message !== "object" || message === null) return;
  if (message.source !== "gradio-portal" || message.app !== frame.dataset.app) return;
  switch (message.type) {
    case "ready":
      settle();
      show(null);
      tellTheme();
      break;
    case "app-starting":
      if (!answered) waitFor(`Starting ${frame.dataset.title}`);
      break;
    case "session-ended":
      sessionEnded();
      break;
    case "sign-out":
    case "dashboard":
    case "admin-dashboard":
    case "user-dashboard":
      leaveFor(PLACES[message.type]);
      break;
  }
});

// A page of the portal's own that stays in the frame, such as a refusal, sends no word; it is there to be read.
frame.addEventListener("load", () => {
  const own = frame.contentDocument; // null for the app's pages: another origin
  if (!own || own.URL === "about:blank" || own.getElementById("launch")) return;
  settle();
  const leaving = own.querySelector("a#leave");
  if (leaving && Object.values(PLACES).includes(leaving.pathname)) leaveFor(leaving.pathname);
});

// Each choice has a name, so that the app's own switch counts until the person chooses again here.
let choices = 0;

function tellTheme() {
  const theme = document.documentElement.dataset.theme;
  if (theme) tell({ type: "theme", theme, choice: `${performance.timeOrigin}-${choices}` });
}

document.addEventListener("portal-theme", () => {
  choices += 1;
  tellTheme();
});

// The links say "this page again"; a reload asks for a fresh launch.
for (const link of document.querySelectorAll(".notice a")) {
  link.addEventListener("click", (event) => {
    event.preventDefault();
    location.reload();
  });
}

for (const button of document.querySelectorAll("[data-dismiss]")) {
  button.hidden = false;
  button.addEventListener("click", () => {
    button.closest(".notice").hidden = true;
  });
}

waitFor(`Opening ${frame.dataset.title}`);

// The app page: messages from the guard in the frame, and the theme for it.
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
const LATE = 20_000; // ms until the page reports that opening takes long

let answered = false;
let late = 0;

function show(id) {
  for (const notice of document.querySelectorAll(".notice")) {
    // The notice about the link stays, whatever the app does next.
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
  // Never "*": other content in the frame must not read it.
  frame.contentWindow.postMessage({ source: "gradio-portal", ...message }, appOrigin);
}

// The frame only knows that its own session ended; a request for this page shows whether the sign-in ended too.
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

// An app's "Log out" and similar links lead to pages of the portal, which no frame shows.  They open only after a click,
// as any link that leaves the frame; each of these pages asks before it changes anything.
function leaveFor(path) {
  if (navigator.userActivation && navigator.userActivation.isActive) location.assign(path);
}

window.addEventListener("message", (event) => {
  // Check both: any page may claim to be the app, and the app may be open in other windows too.
  if (event.origin !== appOrigin || event.source !== frame.contentWindow) return;
  const message = event.data;
  if (typeof message !== "object" || message === null) return;
  if (message.source !== "gradio-portal" || message.app !== frame.dataset.app) return;
  switch (message.type) {
    case "ready":
      settle();
      renewal?.remove();
      show(null);
      tellTheme();
      break;
    case "app-starting":
      if (!answered) waitFor(`Starting ${frame.dataset.title}`);
      break;
    case "session-ended":
      sessionEnded();
      break;
    case "other-person":
      location.reload();
      break;
    case "sign-out":
    case "dashboard":
    case "admin-dashboard":
    case "user-dashboard":
      leaveFor(PLACES[message.type]);
      break;
  }
});

// A page of the portal's own in a frame, such as "Access denied", but the launch; null for the app's, which are another
// origin.
function ownPage(holder) {
  const page = holder.contentDocument;
  return page && page.URL !== "about:blank" && !page.getElementById("launch") ? page : null;
}

// They send no message.
frame.addEventListener("load", () => {
  const own = ownPage(frame);
  if (!own) return;
  settle();
  const leaving = own.querySelector("a#leave");
  if (leaving && Object.values(PLACES).includes(leaving.pathname)) leaveFor(leaving.pathname);
});

// Each choice has an id, so that the app's own theme switch wins until the person chooses here again.
let choices = 0;

function tellTheme() {
  const theme = document.documentElement.dataset.theme;
  if (theme) tell({ type: "theme", theme, choice: `${performance.timeOrigin}-${choices}` });
}

document.addEventListener("portal-theme", () => {
  choices += 1;
  tellTheme();
});

// The links lead to this page; a reload makes a new launch.  Better is a new session for the page in the frame, which
// keeps what is in it.
for (const link of document.querySelectorAll(".notice a")) {
  link.addEventListener("click", (event) => {
    event.preventDefault();
    const notice = link.closest(".notice").id;
    if (notice === "notice-ended") renew();
    else if (notice !== "notice-signed-out" || !signInBeside()) location.reload();
  });
}

// Signing in leaves the portal's page, so a small window does it; static/signed-in.js reports from there.
function signInBeside() {
  return Boolean(window.open("/signed-in", "_blank", "popup,width=480,height=720"));
}

new BroadcastChannel("gradio-portal").addEventListener("message", () => {
  if (!document.getElementById("notice-signed-out").hidden) renew();
});

const RENEWAL = 10_000; // ms until the page is loaded again instead
let renewal = null;

// A launch in a hidden frame: the guard's page there tells the page in the visible one, which reports that it is ready.
function renew() {
  renewal?.remove();
  renewal = document.createElement("iframe");
  const launch = new URL(frame.src);
  launch.searchParams.set("next", "/.portal/renewed");
  renewal.src = launch.href;
  renewal.hidden = true;
  renewal.sandbox = "allow-scripts allow-forms allow-same-origin";
  const mine = renewal;
  renewal.addEventListener("load", () => {
    if (ownPage(mine)) location.reload();
  });
  document.body.append(renewal);
  setTimeout(() => {
    if (mine.isConnected) location.reload();
  }, RENEWAL);
}

for (const button of document.querySelectorAll("[data-dismiss]")) {
  button.hidden = false;
  button.addEventListener("click", () => {
    button.closest(".notice").hidden = true;
  });
}

waitFor(`Opening ${frame.dataset.title}`);

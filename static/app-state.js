// The app page, where nothing in the frame speaks: the app is stopped or away, or what it shows is not a page.
"use strict";

const down = document.getElementById("down");
const SILENT = 1_000; // ms after something has loaded until it counts as silent
const SOON = 4_000; // ms until the portal is asked where nothing has loaded
const AGAIN = 3_000; // ms between two looks at an app that is down

let spoke = false;
let next = 0;

function lookIn(time, loaded) {
  clearTimeout(next);
  next = setTimeout(() => look(loaded), time);
}

// Also when the app is reached again although the portal could not.
window.addEventListener("message", (event) => {
  if (event.origin !== appOrigin || event.source !== frame.contentWindow) return;
  if (event.data === null || typeof event.data !== "object" || event.data.source !== "gradio-portal") return;
  spoke = true;
  clearTimeout(next);
  showDown(null);
});

// Pages of the guard's and the app's own send word.  What does not is a browser's error page, or a document, a picture,
// data: the frame cannot be looked into, so the portal is asked whether the app is there.
frame.addEventListener("load", () => {
  if (isPortals(frame.contentDocument)) return;
  setTimeout(() => {
    if (!spoke) look(true);
    spoke = false;
  }, SILENT);
});

// The launch and what stands in its place, such as a refusal, are there to be read.  Apps on the portal's own host can be
// looked into as well.
function isPortals(shown) {
  return shown !== null && (shown.URL === "about:blank" || new URL(shown.URL).pathname.startsWith("/apps/"));
}

async function stateOfApp() {
  try {
    const answer = await fetch(`/app-states/${frame.dataset.app}`, { cache: "no-store" });
    if (answer.status === 401 || answer.status === 404) return "ended";
    return answer.ok ? (await answer.json()).state : "unknown";
  } catch {
    return "unknown";
  }
}

async function look(loaded) {
  const shown = frame.contentDocument;
  if (down.hidden && isPortals(shown) && shown.URL !== "about:blank" && !shown.getElementById("launch")) return;
  const state = await stateOfApp();
  if (state === "ended") {
    showDown(null);
    sessionEnded();
  } else if (state === "stopped" || state === "unreachable") {
    settle();
    show(null);
    showDown(state);
    lookIn(AGAIN, loaded);
  } else if (state === "unknown") {
    if (loaded && down.hidden) settle();
    else lookIn(AGAIN, loaded);
  } else if (!down.hidden) {
    showDown(null);
    waitFor(`Opening ${frame.dataset.title}`);
    frame.contentWindow.location.replace(frame.getAttribute("src")); // a fresh launch
  } else if (loaded) {
    settle();
  }
}

function showDown(state) {
  down.hidden = state === null;
  frame.hidden = state !== null; // what the browser shows there is not for reading
  for (const part of down.querySelectorAll("[data-state]")) part.hidden = part.dataset.state !== state;
}

lookIn(SOON, false);

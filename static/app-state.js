// The app page, when no app is in the frame: it is stopped or unreachable, its guard could not reach the portal, or it
// shows something other than a page.
"use strict";

const down = document.getElementById("down");
const SILENT = 1_000; // ms after something has loaded until it counts as silent
const SOON = 4_000; // ms until the portal is asked if nothing has loaded
const AGAIN = 3_000; // ms between two checks of an app that is down

let spoke = false;
let away = false; // whether the guard could not reach the portal
let next = 0;

function lookIn(time, loaded) {
  clearTimeout(next);
  next = setTimeout(() => look(loaded), time);
}

// Also handles an app that the browser reaches and the portal does not.
window.addEventListener("message", (event) => {
  if (event.origin !== appOrigin || event.source !== frame.contentWindow) return;
  if (event.data === null || typeof event.data !== "object" || event.data.source !== "gradio-portal") return;
  spoke = true;
  clearTimeout(next);
  showDown(null);
  away = event.data.type === "portal-away";
  if (away) lookIn(AGAIN, true);
});

// Pages of guard and app send a message.  A browser's error page, a document or a picture does not.  The frame cannot be
// read, so the portal is asked for the state of the app.
frame.addEventListener("load", () => {
  if (isPortals(frame.contentDocument)) return;
  setTimeout(() => {
    if (!spoke) look(true);
    spoke = false;
  }, SILENT);
});

// The launch and the portal's other pages in the frame can be read; so can apps on the portal's own host.
function isPortals(inFrame) {
  return inFrame !== null && (inFrame.URL === "about:blank" || new URL(inFrame.URL).pathname.startsWith("/apps/"));
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
  const inFrame = frame.contentDocument;
  if (down.hidden && isPortals(inFrame) && inFrame.URL !== "about:blank" && !inFrame.getElementById("launch")) return;
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
    if (loaded && down.hidden && !away) settle();
    else lookIn(AGAIN, loaded);
  } else if (!down.hidden || away) {
    away = false;
    showDown(null);
    waitFor(`Opening ${frame.dataset.title}`);
    frame.contentWindow.location.replace(frame.getAttribute("src")); // a new launch
  } else if (loaded) {
    settle();
  }
}

function showDown(state) {
  down.hidden = state === null;
  frame.hidden = state !== null; // hides the browser's error page
  for (const part of down.querySelectorAll("[data-state]")) part.hidden = part.dataset.state !== state;
}

lookIn(SOON, false);

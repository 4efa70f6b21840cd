// The small window in which a person signed in again: tells the portal's open pages, and closes.
"use strict";

new BroadcastChannel("gradio-portal").postMessage("signed-in");
window.close();

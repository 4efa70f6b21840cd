// The guard's script in an app's pages: reports the end of the session to the portal's page around
// it, follows the light or dark theme, and makes downloads work with partitioned cookies.
(function () {
  "use strict";

  const tag = document.currentScript;
  if (!tag || !tag.dataset.portal || window.__gradioPortalGuard) return;
  Object.defineProperty(window, "__gradioPortalGuard", { value: true });

  const portal = tag.dataset.portal;
  const app = tag.dataset.app;
  const base = tag.dataset.base || "";
  const framed = window.parent !== window;
  const plainFetch = window.fetch.bind(window);

  function tell(type) {
    if (framed) window.parent.postMessage({ source: "gradio-portal", type: type, app: app }, portal);
  }

  // --- Check the session ---------------------------------------------------------------------

  let ended = false;
  let checking = false;
  let waiting = false; // whether to check once more
  let owner = null; // whose page this is
  let shared = null; // to the browser's other pages of this app
  try { shared = new BroadcastChannel(`gradio-portal ${app} ${base}`); } catch (_) { /* none here */ }

  function share(type) {
    if (shared) shared.postMessage(type);
  }

  // Where the portal did not answer, there may be no session yet; the page around this one asks the portal.
  function isGuards() {
    return tag.dataset.event || (document.body && document.body.classList.contains("guard"));
  }

  function look() {
    return plainFetch(base + "/.portal/session", { cache: "no-store", credentials: "same-origin" });
  }

  function check() {
    if (ended || isGuards()) return Promise.resolve();
    waiting = Boolean(checking);
    if (checking) return checking;
    checking = look()
      .then(function (answer) {
        if (answer.status === 401) end();
        return answer.ok ? answer.json().then(belongs) : null;
      })
      .catch(function () {})
      .then(function () {
        setTimeout(function () { checking = null; if (waiting) check(); }, 1000);
      });
    return checking;
  }

  // Whether the session is that of the person whose page this is, in the same tenant.
  function belongs(session) {
    const now = `${session.tenant} ${session.subject}`;
    owner = owner || now;
    return owner === now;
  }

  function end() {
    if (ended) return;
    ended = true;
    tell("session-ended");
    share("check");
    if (!framed) showNotice();
  }

  // A new session began in this browser: go on in it, with everything that is in this page.
  function renewed() {
    if (tag.dataset.event === "session-ended") {
      const isRoute = window.location.pathname.indexOf(base + "/.portal/") === 0;
      return isRoute ? window.location.replace(base + "/") : window.location.reload();
    }
    if (!ended) return;
    look().then(function (answer) { return answer.ok ? answer.json() : null; }).then(function (session) {
      if (!session || !ended) return;
      if (!belongs(session)) return framed ? tell("other-person") : window.location.reload();
      ended = false;
      if (notice) notice.remove();
      tell("ready");
      watch();
    }).catch(function () {});
  }

  if (shared) {
    shared.onmessage = function (event) {
      if (event.data === "check") check();
      else if (event.data === "renewed") renewed();
    };
  }

  // An answer that lasts as long as the session.  One page holds it for all of this browser, which has few connections.
  function watch() {
    if (!navigator.locks || !shared) return;
    navigator.locks.request(`gradio-portal ${app} ${base}`, hold).catch(function () {});
  }

  const AGAIN = 1000; // ms before the next try; doubles while the app cannot be reached
  const LONGEST = 16000;

  async function hold() {
    let pause = AGAIN;
    while (!ended) {
      try {
        const answer = await plainFetch(base + "/.portal/watch", { cache: "no-store", credentials: "same-origin" });
        pause = answer.ok ? AGAIN : Math.min(2 * pause, LONGEST);
        const reader = answer.body.getReader();
        while (!(await reader.read()).done) { /* it has no events */ }
      } catch (_) {
        pause = Math.min(2 * pause, LONGEST);
      }
      await check();
      if (!ended) await new Promise(function (resolve) { setTimeout(resolve, pause); });
    }
  }

  function isOurs(address) {
    try {
      return new URL(address, window.location.href).origin === window.location.origin;
    } catch (_) {
      return false;
    }
  }

  // A heartbeat lasts as long as the page; if it ends, the session may have ended.
  function watched(answer) {
    const branches = answer.body.tee();
    const reader = branches[1].getReader();
    (function next() {
      reader.read().then(function (piece) { if (piece.done) check(); else next(); }, check);
    })();
    return new Response(branches[0], { status: answer.status, statusText: answer.statusText, headers: answer.headers });
  }

  window.fetch = function (input, init) {
    const address = typeof input === "string" ? input : input instanceof URL ? input.href : (input && input.url) || "";
    return plainFetch(input, init).then(
      function (answer) {
        if (!isOurs(address)) return answer;
        if (answer.status === 401) check();
        if (answer.ok && answer.body && address.indexOf("/gradio_api/heartbeat/") >= 0) return watched(answer);
        return answer;
      },
      function (error) {
        if (isOurs(address) && !(init && init.signal && init.signal.aborted)) check();
        throw error;
      }
    );
  };

  document.addEventListener("visibilitychange", function () {
    if (document.visibilityState === "visible") check();
  });
  // For browsers without the stream.
  setInterval(function () {
    if (document.visibilityState === "visible") check();
  }, 10000);
  window.addEventListener("pageshow", function (event) {
    if (event.persisted) check(); // a page from the history still shows the time before the end
  });

  // --- Light or dark: the portal's choice, until the app's own switch changes it ---------------

  const STORAGE_KEY = "gradio-portal-theme";
  let theme = null;
  let choice = null; // id of the portal's choice that it follows
  let touched = false; // whether the person used this page; until then, Gradio itself sets the theme

  // What this tab's earlier pages stored: the portal's choice, the app's own since then, and Gradio's parameter.
  function stored() {
    try { return JSON.parse(sessionStorage.getItem(STORAGE_KEY)) || {}; } catch (_) { return {}; }
  }

  function store(own) {
    const parameter = new URLSearchParams(window.location.search).get("__theme");
    try { sessionStorage.setItem(STORAGE_KEY, JSON.stringify({ choice: choice, own: own, parameter: parameter })); } catch (_) { /* none here */ }
  }

  function isTheme(value) {
    return value === "dark" || value === "light";
  }

  function follow() {
    if (!theme || !document.body) return;
    const dark = theme === "dark";
    const classes = document.body.classList;
    if (classes.contains("dark") !== dark) classes.toggle("dark", dark);
    if (classes.contains("guard")) classes.toggle("light", !dark);
  }

  // The app's own switch in the address: another "__theme" than that of the page before.
  function ownSince(message) {
    const before = stored();
    if (before.choice !== message.choice) return null; // a new choice in the portal
    const parameter = new URLSearchParams(window.location.search).get("__theme");
    const own = isTheme(parameter) && parameter !== before.parameter ? parameter : before.own;
    return isTheme(own) && own !== message.theme ? own : null;
  }

  // The app's own switch by a class.
  function changed() {
    if (!theme || !touched || document.body.classList.contains("guard")) return follow();
    const now = document.body.classList.contains("dark") ? "dark" : "light";
    if (now === theme) return;
    theme = now;
    store(now);
  }

  ["pointerdown", "keydown", "click"].forEach(function (kind) {
    window.addEventListener(kind, function (event) { touched = touched || event.isTrusted; }, true);
  });

  window.addEventListener("message", function (event) {
    if (!framed || event.origin !== portal || event.source !== window.parent) return;
    const message = event.data;
    if (!message || message.source !== "gradio-portal" || message.type !== "theme" || !isTheme(message.theme)) return;
    const own = ownSince(message);
    theme = own || message.theme;
    choice = message.choice;
    store(own);
    follow();
  });

  // --- The guard's pages while an app starts, or after it failed to start -----------------------

  const STATE_OF_PAGE = { "app-starting": "starting", "app-failed": "failed" };

  function reloadWhenStateChanges(state) {
    const again = function () { reloadWhenStateChanges(state); };
    plainFetch(base + "/.portal/health", { cache: "no-store" }).then(function (answer) {
      return answer.json();
    }).then(function (health) {
      if (health.state !== state) return window.location.reload();
      setTimeout(again, 1000);
      return state === "starting" ? showProgress() : null;
    }).catch(function () {
      setTimeout(again, 2000); // the guard does not answer either, as while the process restarts
    });
  }

  // For a script, this address answers with JSON instead of a page.
  function showProgress() {
    return plainFetch(window.location.href, { cache: "no-store" }).then(function (answer) {
      return answer.status === 503 ? answer.json() : {};
    }).then(function (progress) {
      ["more", "line"].forEach(function (id) {
        const element = document.getElementById(id);
        if (element && typeof progress[id] === "string") element.textContent = progress[id];
      });
    });
  }

  // --- Downloads with partitioned cookies ------------------------------------------------------

  // Chromium sends <a download> without the partitioned cookie; a fetch carries it.
  function download(event) {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = event.composedPath().find(function (one) {
      return one instanceof HTMLAnchorElement && one.hasAttribute("download");
    });
    if (!link || !/^https?:$/.test(link.protocol) || !isOurs(link.href)) return;
    event.preventDefault();
    plainFetch(link.href, { credentials: "same-origin" }).then(function (answer) {
      if (answer.status === 401) { check(); return null; }
      return answer.ok ? answer.blob() : null;
    }).then(function (blob) {
      if (!blob) return;
      const address = URL.createObjectURL(blob);
      const anchor = document.createElement("a");
      anchor.href = address;
      anchor.download = link.getAttribute("download") || decodeURIComponent(link.pathname.split("/").pop() || "download");
      anchor.click();
      setTimeout(function () { URL.revokeObjectURL(address); }, 60000);
    }).catch(check);
  }

  if (tag.dataset.cookies === "partitioned") document.addEventListener("click", download, true);

  // --- Links to addresses that the portal handles ----------------------------------------------

  // Apps link to "/logout" at the host's root; for an app under a path, the guard answers it there.
  const known = (tag.dataset.known || "").split(" ");

  function putUnderPath(event) {
    const link = event.composedPath().find(function (one) { return one instanceof HTMLAnchorElement; });
    if (!link || !isOurs(link.href)) return;
    const path = link.pathname.replace(/\/$/, "");
    if (path && known.indexOf(path) >= 0 && !document.body.classList.contains("guard")) link.pathname = base + path;
  }

  if (base) {
    document.addEventListener("click", putUnderPath, true);
    document.addEventListener("auxclick", putUnderPath, true);
  }

  // --- In a tab of its own: that the session has ended -------------------------------------------

  let notice = null;

  const STYLE = `
    :host { all: initial; position: fixed; inset: auto 0 0 0; z-index: 2147483647; color-scheme: light dark; }
    div { display: flex; flex-wrap: wrap; gap: .75rem; align-items: center; justify-content: center; padding: .75rem 1rem;
      background: #1c1f23; color: #fff; font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
    p { margin: 0; }
    button { padding: .5rem 1rem; border: 0; border-radius: .625rem; background: #6fd6c6; color: #06231f; font: inherit;
      font-weight: 600; cursor: pointer; }
    button:focus-visible { outline: 3px solid #fff; outline-offset: 2px; }`;

  function showNotice() {
    notice = document.createElement("gradio-portal-notice");
    const inside = notice.attachShadow({ mode: "open" });
    const style = new CSSStyleSheet(); // a style element could be forbidden by the app's policy
    style.replaceSync(STYLE);
    inside.adoptedStyleSheets = [style];
    const box = document.createElement("div");
    const text = document.createElement("p");
    const button = document.createElement("button");
    box.setAttribute("role", "alert");
    text.textContent = "Your session in this app has ended.";
    button.type = "button";
    button.textContent = "Sign in again";
    button.addEventListener("click", signInAgain);
    box.append(text, button);
    inside.append(box);
    document.body.append(notice);
  }

  // In a small window, so that this page keeps what is in it.
  function signInAgain() {
    const address = `${portal}/apps/${app}/?portal-renewal=1`;
    if (!shared || !window.open(address, "_blank", "popup,width=480,height=720")) window.location.reload();
  }

  // --- Ready -----------------------------------------------------------------------------------

  function ready() {
    if (document.body) new MutationObserver(changed).observe(document.body, { attributes: true, attributeFilter: ["class"] });
    follow();
    tell("ready");
    if (tag.dataset.event) tell(tag.dataset.event);
    if (tag.dataset.event === "renewed") {
      share("renewed");
      if (!framed) window.close();
    }
    if (!isGuards()) check().then(watch);
    if (STATE_OF_PAGE[tag.dataset.event]) reloadWhenStateChanges(STATE_OF_PAGE[tag.dataset.event]);
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", ready);
  else ready();
})();

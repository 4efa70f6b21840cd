// The guard's script in an app's pages: tells the portal's page around it that the session has
// ended, follows its light or dark choice, and helps downloads where cookies are partitioned.
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

  // --- Is the session still there? -------------------------------------------------------------

  let ended = false;
  let checking = null;

  function check() {
    if (ended || checking) return;
    checking = plainFetch(base + "/.portal/session", { cache: "no-store", credentials: "same-origin" })
      .then(function (answer) {
        if (answer.status === 401) {
          ended = true;
          tell("session-ended");
        }
      })
      .catch(function () {})
      .then(function () {
        setTimeout(function () { checking = null; }, 1000);
      });
  }

  function isOurs(address) {
    try {
      return new URL(address, window.location.href).origin === window.location.origin;
    } catch (_) {
      return false;
    }
  }

  // A heartbeat is open as long as the page; when it ends, the session may be the reason.
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
  // Not every page has a stream open that would tell.
  setInterval(function () {
    if (document.visibilityState === "visible") check();
  }, 10000);
  window.addEventListener("pageshow", function (event) {
    if (event.persisted) check(); // a page out of the history shows what was there before the end
  });

  // --- Light or dark: as the portal says, until the app's own switch says otherwise -----------------

  const KEPT = "gradio-portal-theme";
  let theme = null;
  let choice = null; // which of the portal's choices it follows
  let touched = false; // whether the person did anything in this page: until then, Gradio itself dresses it

  // What this tab's earlier pages knew: the portal's choice, the app's own since then, and Gradio's parameter.
  function kept() {
    try { return JSON.parse(sessionStorage.getItem(KEPT)) || {}; } catch (_) { return {}; }
  }

  function keep(own) {
    const parameter = new URLSearchParams(window.location.search).get("__theme");
    try { sessionStorage.setItem(KEPT, JSON.stringify({ choice: choice, own: own, parameter: parameter })); } catch (_) { /* none here */ }
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

  // The app's own switch, by the address: another "__theme" than that of the page before.
  function ownSince(said) {
    const before = kept();
    if (before.choice !== said.choice) return null; // chosen anew in the portal
    const parameter = new URLSearchParams(window.location.search).get("__theme");
    const own = isTheme(parameter) && parameter !== before.parameter ? parameter : before.own;
    return isTheme(own) && own !== said.theme ? own : null;
  }

  // The app's own switch, by a class.
  function changed() {
    if (!theme || !touched || document.body.classList.contains("guard")) return follow();
    const now = document.body.classList.contains("dark") ? "dark" : "light";
    if (now === theme) return;
    theme = now;
    keep(now);
  }

  ["pointerdown", "keydown", "click"].forEach(function (kind) {
    window.addEventListener(kind, function (event) { touched = touched || event.isTrusted; }, true);
  });

  window.addEventListener("message", function (event) {
    if (!framed || event.origin !== portal || event.source !== window.parent) return;
    const said = event.data;
    if (!said || said.source !== "gradio-portal" || said.type !== "theme" || !isTheme(said.theme)) return;
    const own = ownSince(said);
    theme = own || said.theme;
    choice = said.choice;
    keep(own);
    follow();
  });

  // --- The pages that stand in for an app while it starts, or after it failed to -----------------

  const WAITED_FOR = { "app-starting": "starting", "app-failed": "failed" };

  function goOnWhenOver(state) {
    const again = function () { goOnWhenOver(state); };
    plainFetch(base + "/.portal/health", { cache: "no-store" }).then(function (answer) {
      return answer.json();
    }).then(function (health) {
      if (health.state !== state) return window.location.reload();
      setTimeout(again, 1000);
      return state === "starting" ? sayHowFar() : null;
    }).catch(function () {
      setTimeout(again, 2000); // not even the guard is there, as when the process is started again
    });
  }

  // Asked by a script, this address answers with words instead of a page.
  function sayHowFar() {
    return plainFetch(window.location.href, { cache: "no-store" }).then(function (answer) {
      return answer.status === 503 ? answer.json() : {};
    }).then(function (said) {
      ["more", "line"].forEach(function (id) {
        const place = document.getElementById(id);
        if (place && typeof said[id] === "string") place.textContent = said[id];
      });
    });
  }

  // --- Downloads with partitioned cookies ------------------------------------------------------

  // Chromium sends <a download> without the partitioned cookie; a fetch carries it.
  function help(event) {
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
      const made = document.createElement("a");
      made.href = address;
      made.download = link.getAttribute("download") || decodeURIComponent(link.pathname.split("/").pop() || "download");
      made.click();
      setTimeout(function () { URL.revokeObjectURL(address); }, 60000);
    }).catch(check);
  }

  if (tag.dataset.cookies === "partitioned") document.addEventListener("click", help, true);

  // --- Links to addresses that are the portal's to answer ---------------------------------------

  // Apps link to "/logout" as if they had the host to themselves; under a path, the guard answers it there.
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

  // --- Ready -----------------------------------------------------------------------------------

  function ready() {
    if (document.body) new MutationObserver(changed).observe(document.body, { attributes: true, attributeFilter: ["class"] });
    follow();
    tell("ready");
    if (tag.dataset.event) tell(tag.dataset.event);
    if (WAITED_FOR[tag.dataset.event]) goOnWhenOver(WAITED_FOR[tag.dataset.event]);
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", ready);
  else ready();
})();

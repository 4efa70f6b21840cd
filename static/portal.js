// Every page: the switch between light and dark, and times in the reader's time zone.
"use strict";

const root = document.documentElement;
const prefersDark = window.matchMedia("(prefers-color-scheme: dark)");

function currentTheme() {
  return root.dataset.theme || (prefersDark.matches ? "dark" : "light");
}

function choose(theme) {
  root.dataset.theme = theme;
  document.querySelector('meta[name="color-scheme"]').content = theme;
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `portal-theme=${theme}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`;
  // static/app.js passes it to the app in the frame.
  document.dispatchEvent(new CustomEvent("portal-theme", { detail: theme }));
}

for (const button of document.querySelectorAll("[data-theme-toggle]")) {
  button.hidden = false;
  button.addEventListener("click", () => choose(currentTheme() === "dark" ? "light" : "dark"));
}

const localTime = new Intl.DateTimeFormat(undefined, { dateStyle: "long", timeStyle: "short" });
for (const time of document.querySelectorAll("time[data-local]")) {
  time.title = time.textContent;
  time.textContent = localTime.format(new Date(time.dateTime));
}

// Pages work without this. It shows a page anew where it says after how long, and
// sends a form by itself that goes on where the last one ended.
"use strict";

(() => {
  const main = document.getElementById("main");

  const busy = () =>
    (main.contains(document.activeElement) && document.activeElement !== main) ||
    main.querySelector("details[open]");

  const renew = async () => {
    const seconds = Number(main.dataset.refresh);
    if (!seconds) return;
    await new Promise((done) => setTimeout(done, seconds * 1000));
    if (!document.hidden && !busy()) {
      try {
        const answer = await fetch(location.href, {
          headers: { "x-refresh": "1" },
          redirect: "error",
        });
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        const fresh = page.getElementById("main");
        // Asked again: what is typed while the answer is on its way must not be lost.
        if (answer.ok && fresh && !busy()) {
          main.replaceChildren(...fresh.childNodes);
          if (fresh.dataset.refresh) main.dataset.refresh = fresh.dataset.refresh;
          else delete main.dataset.refresh;
        }
      } catch {
        // Signed out, or no connection: what is shown stays.
      }
    }
    renew();
  };

  const goOn = document.querySelector("[data-go-on] form");
  if (goOn) setTimeout(() => goOn.requestSubmit(), 300);
  else if (main) renew();
})();

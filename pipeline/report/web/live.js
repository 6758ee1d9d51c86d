// Only in a served page: follow the run. State and times are replaced every few seconds; when there is
// more to draw, the page is loaded again, unless the reader is in the middle of something.
{
  const EVERY_MILLISECONDS = 5000;
  const sign = document.getElementById("live");
  const facts = document.getElementById("facts");
  let shown = null;

  /** Whether pictures play, or a value is being read. */
  const busy = () =>
    document.querySelector("#play[aria-pressed=true], .tip:not([hidden]), #slider:active") !== null;

  async function follow() {
    let answer;
    try {
      answer = await fetch("/facts");
      if (!answer.ok) throw new Error();
      facts.innerHTML = await answer.text();
    } catch {
      sign.textContent = "live no longer: progan report --serve has ended";
      return;
    }
    sign.textContent = "live";
    const version = answer.headers.get("ETag");
    shown ??= version;
    if (version === shown || busy()) return;
    keep("scroll", window.scrollY);
    keep("focus", document.activeElement?.id || null);
    location.reload();
  }

  if (kept.scroll) window.scrollTo({ top: kept.scroll, behavior: "instant" });
  if (kept.focus) document.getElementById(kept.focus)?.focus({ preventScroll: true });
  keep("scroll", null);
  keep("focus", null);
  follow();
  setInterval(follow, EVERY_MILLISECONDS);
}

// The plan as a staircase: a step up is a resolution, its slope the fade, its outline the rest.
{
  const figure = document.getElementById("plan-chart");
  const HEIGHT = 250;
  const EVENTS = {
    start: "started again",
    trouble: "failed, crashed or rolled back",
    stop: "stopped",
    change: "re-opened",
  };
  // Steps show where stages begin and end; no marks are needed.
  const marked = report.happenings.filter(
    (event) => event.at !== null && event.kind in EVENTS && event.title !== "Stage started",
  );
  const MARGIN = { top: 26, right: 8, bottom: marked.length ? 46 : 28, left: 8 };
  const levels = report.stages.length;
  const tip = make("div", { class: "tip", hidden: "" });
  const chart = make("svg:svg", { class: "chart", role: "img", height: HEIGHT });
  chart.setAttribute("aria-label", `The plan: ${report.stages.map((s) => s.resolution).join(", ")} pixels`);

  /** Images of a stage over which the stairs rise. */
  const slopeOf = (stage) => (stage.mode === "fade" ? stage.fade_images : 0);

  /** Height of the stairs, in steps, at a count of a stage's images. */
  const heightAt = (stage, place, seen) =>
    place + (slopeOf(stage) ? Math.min(1, seen / slopeOf(stage)) : 1);

  function draw() {
    const width = figure.clientWidth - 2 * parseFloat(getComputedStyle(figure).paddingLeft);
    const x = (at) => MARGIN.left + (at / runLength) * (width - MARGIN.left - MARGIN.right);
    const bottom = HEIGHT - MARGIN.bottom;
    const y = (level) => bottom - (level / levels) * (bottom - MARGIN.top);
    chart.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    chart.replaceChildren();

    /** Outline of a stage between two counts of its images. */
    function outline(stage, place, from, to) {
      const corners = [from, ...[slopeOf(stage)].filter((at) => at > from && at < to), to];
      const top = corners.map((at) => `${x(stage.begins + at)},${y(heightAt(stage, place, at))}`);
      return `M${x(stage.begins + from)},${bottom} L${top.join(" L")} L${x(stage.begins + to)},${bottom}Z`;
    }

    report.stages.forEach((stage, place) => {
      const whole = lengthOf(stage);
      const style = `--hue: ${stage.hue}`;
      if (stage.images_seen > 0)
        chart.append(make("svg:path", { class: "step", style, d: outline(stage, place, 0, stage.images_seen) }));
      if (stage.images_seen < whole)
        chart.append(make("svg:path", { class: "todo", style, d: outline(stage, place, stage.images_seen, whole) }));
      const room = x(stage.begins + whole) - x(stage.begins);
      if (room > 9 * String(stage.resolution).length) {
        const name = make("svg:text", { class: "name", "text-anchor": "middle" }, String(stage.resolution));
        name.setAttribute("x", (x(stage.begins + slopeOf(stage)) + x(stage.begins + whole)) / 2);
        name.setAttribute("y", y(place + 1) - 8);
        chart.append(name);
      }
    });

    chart.append(make("svg:line", { class: "grid", x1: x(0), x2: x(runLength), y1: bottom, y2: bottom }));
    for (const at of roundValues(0, runLength, width / 110)) {
      const anchor = at === 0 ? "start" : x(at) > width - 40 ? "end" : "middle";
      const label = { x: x(at), y: HEIGHT - 8, "text-anchor": anchor };
      chart.append(make("svg:text", label, at ? kimg(at) : "0"));
    }
    for (const event of marked) {
      const [left, top] = [x(event.at), bottom + 13];
      const mark = make("svg:path", { class: "event", "data-kind": event.kind,
        d: `M${left},${top - 5}l5,5l-5,5l-5,-5z` });
      mark.append(make("svg:title", {}, `${event.title}, ${kimg(event.at)}`));
      chart.append(mark);
    }
    const here = make("svg:line", { class: "here", y1: MARGIN.top - 8, y2: bottom });
    const cross = make("svg:line", { class: "cross", y1: MARGIN.top - 8, y2: bottom, visibility: "hidden" });
    chart.append(here, cross);
    return { x, here, cross, width };
  }

  let drawn = draw();
  let moment = null;
  function showHere() {
    drawn.here.setAttribute("visibility", moment === null ? "hidden" : "visible");
    if (moment !== null)
      for (const end of ["x1", "x2"]) drawn.here.setAttribute(end, drawn.x(moment));
  }

  chart.addEventListener("pointermove", (event) => {
    const left = event.clientX - chart.getBoundingClientRect().left;
    const share = (left - MARGIN.left) / (drawn.width - MARGIN.left - MARGIN.right);
    const at = Math.max(0, Math.min(1, share)) * runLength;
    const { stage, seen, alpha, phase } = scheduleAt(at);
    for (const end of ["x1", "x2"]) drawn.cross.setAttribute(end, drawn.x(at));
    drawn.cross.setAttribute("visibility", "visible");
    tip.hidden = false;
    tip.replaceChildren(
      make("b", {}, `${stage.resolution} × ${stage.resolution}, ${phase}`),
      make("span", {}, `alpha ${alpha.toFixed(2)}, ${kimg(seen)} of ${kimg(lengthOf(stage))}`),
    );
    tip.style.top = "8px";
    tip.style.left = `${Math.max(8, Math.min(left + 24, figure.clientWidth - tip.offsetWidth - 8))}px`;
  });
  chart.addEventListener("pointerleave", () => {
    tip.hidden = true;
    drawn.cross.setAttribute("visibility", "hidden");
  });
  document.addEventListener("moment", (event) => {
    moment = event.detail;
    showHere();
  });
  new ResizeObserver(() => {
    drawn = draw();
    showHere();
  }).observe(figure);

  const kinds = Object.entries(EVENTS).filter(([kind]) => marked.some((event) => event.kind === kind));
  const key = make("ul", { class: "key" });
  for (const [kind, words] of kinds) {
    const mark = make("svg:path", { class: "event", "data-kind": kind, d: "M5,0l5,5l-5,5l-5,-5z" });
    key.append(make("li", {}, make("svg:svg", { viewBox: "0 0 10 10", "aria-hidden": "true" }, mark), words));
  }
  figure.append(chart, tip);
  if (kinds.length) figure.append(key);
}

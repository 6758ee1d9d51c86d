// Small charts that share one axis, one crosshair and one zoom; hand-made SVG, read by pointer or keys.
{
  const HEIGHT = 190;
  const MARGIN = { top: 8, right: 6, bottom: 24, left: 52 };
  const COLOURS = 8;
  const ROBUST = 0.01;
  const WORTH_CLIPPING = 4;
  const container = document.getElementById("charts");
  const spoken = document.getElementById("spoken");
  let zoom = [0, runLength];
  let moment = null;

  /** The least and the greatest value that are not among the rarest percent. */
  function robust(values) {
    const sorted = [...values].sort((a, b) => a - b);
    const at = (share) => sorted[Math.round(share * (sorted.length - 1))];
    return [at(ROBUST), at(1 - ROBUST)];
  }

  const colourOf = (place) => `var(--series-${(place % COLOURS) + 1})`;

  /** Points of a series in the part of the run that is shown, cut where a stage ends. */
  function piecesOf(series) {
    const pieces = [];
    let stage = null;
    series.at.forEach((at, place) => {
      if (at < zoom[0] || at > zoom[1]) return;
      if (stageAt(at) !== stage) pieces.push([]);
      stage = stageAt(at);
      pieces.at(-1).push([at, series.values[place]]);
    });
    return pieces;
  }

  function chartOf(chart) {
    const legend = make("ul", { class: "legend" });
    const readings = chart.series.map((series, place) => {
      const value = make("b");
      const name = chart.series.length > 1 ? [make("i"), series.label] : [];
      legend.append(make("li", { style: `--series: ${colourOf(place)}` }, ...name, value));
      return value;
    });
    const svg = make("svg:svg", { class: "chart", height: HEIGHT, tabindex: "0", role: "img" });
    svg.setAttribute("aria-label", `${chart.title}. Arrow keys read its values.`);
    const range = make("button", { type: "button", class: "range", hidden: "" });
    const tip = make("div", { class: "tip", hidden: "" });
    const head = [make("h3", {}, chart.title), make("p", { class: "hint" }, chart.hint)];
    const card = make("article", { class: "card" }, ...head, legend, svg, range, tip);
    container.append(card);
    let clipped = true;
    let view = null;

    /** Lowest and highest value shown; sets the button that lets peaks in. */
    function limits(pieces) {
      const values = pieces.flat(2).map(([, value]) => value);
      let [low, high] = [Math.min(...values), Math.max(...values)];
      const [least, most] = robust(values);
      const peaks = high - low > WORTH_CLIPPING * (most - least) && most > least;
      range.hidden = !peaks;
      range.textContent = clipped ? "Show peaks" : "Cut peaks";
      if (peaks && clipped) [low, high] = [least, most];
      const slack = (high - low) * 0.08 || Math.abs(high) * 0.1 || 1;
      return [low - slack, high + slack];
    }

    function draw() {
      const width = svg.getBoundingClientRect().width;
      if (!width) return;
      const pieces = chart.series.map(piecesOf);
      const bottom = HEIGHT - MARGIN.bottom;
      svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
      svg.replaceChildren();
      view = null;
      if (!pieces.flat().length) {
        range.hidden = true;
        svg.append(make("svg:text", { x: width / 2, y: HEIGHT / 2, "text-anchor": "middle" }, "no figures here"));
        return;
      }
      const [low, high] = limits(pieces);
      const x = (at) => MARGIN.left + ((at - zoom[0]) / (zoom[1] - zoom[0])) * (width - MARGIN.left - MARGIN.right);
      const y = (value) => bottom - ((value - low) / (high - low)) * (bottom - MARGIN.top);
      drawGround(width, bottom, x, y, low, high);
      const clip = make("svg:svg", { x: MARGIN.left, y: MARGIN.top, width: width - MARGIN.left - MARGIN.right,
        height: bottom - MARGIN.top, viewBox: `${MARGIN.left} ${MARGIN.top} ${width - MARGIN.left - MARGIN.right} ${bottom - MARGIN.top}` });
      clip.style.overflow = "hidden";
      pieces.forEach((ofSeries, place) => {
        for (const piece of ofSeries) {
          const corners = piece.map(([at, value]) => `${x(at).toFixed(1)},${y(value).toFixed(1)}`);
          // A single point is a line without length, which round ends make a dot.
          const d = `M${corners.join("L")}${piece.length === 1 ? "h0" : ""}`;
          const style = `stroke: ${colourOf(place)}; stroke-width: ${piece.length === 1 ? 5 : 1.7}`;
          clip.append(make("svg:path", { class: "line", d, style }));
        }
      });
      const here = make("svg:line", { class: "here", y1: MARGIN.top, y2: bottom, visibility: "hidden" });
      const cross = make("svg:line", { class: "cross", y1: MARGIN.top, y2: bottom, visibility: "hidden" });
      svg.append(clip, here, cross);
      const all = [...new Set(pieces.flat(2).map(([at]) => at))].sort((a, b) => a - b);
      view = { x, width, here, cross, all };
      showHere();
    }

    function drawGround(width, bottom, x, y, low, high) {
      for (const stage of report.stages) {
        const [from, to] = [stage.begins, stage.begins + stage.fade_images].map((at) =>
          Math.max(zoom[0], Math.min(zoom[1], at)));
        if (to > from)
          svg.append(make("svg:rect", { class: "fade", style: `--hue: ${stage.hue}`, x: x(from), y: MARGIN.top,
            width: x(to) - x(from), height: bottom - MARGIN.top }));
        if (stage.begins > zoom[0] && stage.begins < zoom[1])
          svg.append(make("svg:line", { class: "border", x1: x(stage.begins), x2: x(stage.begins),
            y1: MARGIN.top, y2: bottom }));
      }
      for (const value of roundValues(low, high)) {
        svg.append(make("svg:line", { class: "grid", x1: MARGIN.left, x2: width - MARGIN.right, y1: y(value), y2: y(value) }));
        svg.append(make("svg:text", { x: MARGIN.left - 8, y: y(value) + 4, "text-anchor": "end" }, inDigits(value)));
      }
      for (const at of roundValues(...zoom, width / 120)) {
        const anchor = x(at) < MARGIN.left + 20 ? "start" : x(at) > width - 34 ? "end" : "middle";
        svg.append(make("svg:text", { x: x(at), y: HEIGHT - 6, "text-anchor": anchor }, at ? kimg(at) : "0"));
      }
    }

    function showHere() {
      if (!view) return;
      const visible = moment !== null && moment >= zoom[0] && moment <= zoom[1];
      view.here.setAttribute("visibility", visible ? "visible" : "hidden");
      if (visible) for (const end of ["x1", "x2"]) view.here.setAttribute(end, view.x(moment));
    }

    /** Put the crosshair at a count, or away, and the values there, or the last, into the legend. */
    function read(at) {
      view?.cross.setAttribute("visibility", at === null ? "hidden" : "visible");
      if (view && at !== null) for (const end of ["x1", "x2"]) view.cross.setAttribute(end, view.x(at));
      chart.series.forEach((series, place) => {
        const where = at === null ? series.at.length - 1 : nearest(series.at, at);
        readings[place].textContent = inDigits(series.values[where]);
      });
    }

    function showTip(at) {
      tip.hidden = false;
      const { stage, seen, alpha, phase } = standing(at);
      const rows = chart.series.map((series, place) =>
        make("p", { style: `--series: ${colourOf(place)}` }, make("i"), series.label, make("b", {}, readings[place].textContent)));
      tip.replaceChildren(
        make("b", {}, `${stage.resolution} × ${stage.resolution}, ${phase}`),
        make("span", {}, `${kimg(at)} in all, ${kimg(seen)} here, alpha ${alpha.toFixed(2)}`),
        ...rows,
      );
      const line = view.x(at) + svg.getBoundingClientRect().left - card.getBoundingClientRect().left;
      const right = line + 14 + tip.offsetWidth <= card.clientWidth;
      tip.style.left = `${right ? line + 14 : Math.max(6, line - 14 - tip.offsetWidth)}px`;
      tip.style.bottom = `${MARGIN.bottom + 16}px`;
    }

    /** The point nearest to a pointer, in images of the run. */
    function under(event) {
      const share = (event.clientX - svg.getBoundingClientRect().left - MARGIN.left) /
        (view.width - MARGIN.left - MARGIN.right);
      return view.all[nearest(view.all, zoom[0] + share * (zoom[1] - zoom[0]))];
    }

    svg.addEventListener("pointermove", (event) => {
      if (!view) return;
      readAll(under(event));
      showTip(under(event));
    });
    svg.addEventListener("pointerleave", () => leave());
    svg.addEventListener("blur", () => leave());
    svg.addEventListener("keydown", (event) => {
      const last = (view?.all.length ?? 0) - 1;
      const now = nearest(view?.all ?? [], reading ?? zoom[1]);
      const places = { ArrowLeft: now - 1, ArrowRight: now + 1, Home: 0, End: last,
        PageDown: now + Math.ceil(last / 10), PageUp: now - Math.ceil(last / 10) };
      if (!view || !(event.key in places)) return;
      event.preventDefault();
      const at = view.all[Math.max(0, Math.min(last, places[event.key]))];
      readAll(at);
      showTip(at);
      const values = chart.series.map((series, place) => `${series.label} ${readings[place].textContent}`);
      spoken.textContent = `${kimg(at)}: ${values.join(", ")}`;
    });
    function leave() {
      tip.hidden = true;
      readAll(null);
    }
    range.addEventListener("click", () => {
      clipped = !clipped;
      draw();
    });
    new ResizeObserver(draw).observe(svg);
    read(null);
    return { draw, read, showHere };
  }

  let reading = null;
  const all = container ? report.charts.map(chartOf) : [];
  function readAll(at) {
    reading = at;
    for (const one of all) one.read(at);
  }
  document.addEventListener("moment", (event) => {
    moment = event.detail;
    for (const one of all) one.showHere();
  });

  // Zoom: the whole run, or one of the stages that have begun.
  const parts = [["All", [0, runLength]]];
  for (const stage of report.stages)
    if (stage.images_seen) parts.push([String(stage.resolution), [stage.begins, stage.begins + lengthOf(stage)]]);
  const buttons = parts.length > 2 && all.length ? parts.map(([name, part], place) => {
    const button = make("button", { type: "button", "aria-pressed": String(place === 0) }, name);
    button.addEventListener("click", () => {
      zoom = part;
      for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
      for (const one of all) one.draw();
    });
    return button;
  }) : [];
  document.getElementById("zoom").append(...buttons);
}

// Small SVG charts that share one axis, one crosshair and one zoom, read by pointer or keys.
// `one` is a chart: its series, the elements of its card, whether its peaks are cut, and its view,
// which is what was drawn last: null without values.
{
  const HEIGHT = 190;
  const MARGIN = { top: 8, right: 6, bottom: 24, left: 52 };
  const BOTTOM = HEIGHT - MARGIN.bottom;
  const COLOURS = 8;
  const DOT = 3.5;
  const ROBUST = 0.01;
  const WORTH_CLIPPING = 4;
  const container = document.getElementById("charts");
  const spoken = document.getElementById("spoken");
  let zoom = [0, runLength];
  let moment = null;
  let reading = null;

  const colourOf = (place) => `var(--series-${(place % COLOURS) + 1})`;

  /** The 1st and the 99th percentile. */
  function robust(values) {
    const sorted = [...values].sort((a, b) => a - b);
    const at = (share) => sorted[Math.round(share * (sorted.length - 1))];
    return [at(ROBUST), at(1 - ROBUST)];
  }

  /** Points of a series in the visible part of the run, split where a stage ends. */
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

  /** A chart with its card, not drawn yet. */
  function cardOf(chart) {
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
    return { ...chart, card, svg, range, tip, readings, clipped: true, view: null };
  }

  /** Lowest and highest visible value; sets the button that shows peaks. */
  function limits(one, pieces) {
    const values = pieces.flat(2).map(([, value]) => value);
    let [low, high] = [Math.min(...values), Math.max(...values)];
    const [least, most] = robust(values);
    const peaks = high - low > WORTH_CLIPPING * (most - least) && most > least;
    one.range.hidden = !peaks;
    one.range.textContent = one.clipped ? "Show peaks" : "Cut peaks";
    if (peaks && one.clipped) [low, high] = [least, most];
    const slack = (high - low) * 0.08 || Math.abs(high) * 0.1 || 1;
    return [low - slack, high + slack];
  }

  /** Scales from images and values to pixels. */
  function scalesOf(width, low, high) {
    const inner = width - MARGIN.left - MARGIN.right;
    return {
      width, inner, low, high,
      x: (at) => MARGIN.left + ((at - zoom[0]) / (zoom[1] - zoom[0])) * inner,
      y: (value) => BOTTOM - ((value - low) / (high - low)) * (BOTTOM - MARGIN.top),
      countAt: (x) => zoom[0] + ((x - MARGIN.left) / inner) * (zoom[1] - zoom[0]),
    };
  }

  /** The background: where each stage begins, and where its resolution fades in. */
  function stageMarks({ x }) {
    const marks = [];
    for (const stage of report.stages) {
      const [from, to] = [stage.begins, stage.begins + stage.fade_images].map((at) =>
        Math.max(zoom[0], Math.min(zoom[1], at)));
      if (to > from)
        marks.push(make("svg:rect", { class: "fade", style: `--hue: ${stage.hue}`, x: x(from), y: MARGIN.top,
          width: x(to) - x(from), height: BOTTOM - MARGIN.top }));
      if (stage.begins > zoom[0] && stage.begins < zoom[1])
        marks.push(make("svg:line", { class: "border", x1: x(stage.begins), x2: x(stage.begins),
          y1: MARGIN.top, y2: BOTTOM }));
    }
    return marks;
  }

  /** Grid lines with their values, and counts of images below. */
  function axes({ x, y, width, low, high }) {
    const values = roundValues(low, high).flatMap((value) => [
      make("svg:line", { class: "grid", x1: MARGIN.left, x2: width - MARGIN.right, y1: y(value), y2: y(value) }),
      make("svg:text", { x: MARGIN.left - 8, y: y(value) + 4, "text-anchor": "end" }, inDigits(value)),
    ]);
    const counts = roundValues(...zoom, width / 120).map((at) => {
      const anchor = x(at) < MARGIN.left + 20 ? "start" : x(at) > width - 34 ? "end" : "middle";
      return make("svg:text", { x: x(at), y: HEIGHT - 6, "text-anchor": anchor }, at ? kimg(at) : "0");
    });
    return [...values, ...counts];
  }

  /** All curves, clipped to the frame and half a dot around it. */
  function curves(pieces, { x, y, inner }) {
    const [left, top] = [MARGIN.left - DOT, MARGIN.top - DOT];
    const [width, height] = [inner + 2 * DOT, BOTTOM - MARGIN.top + 2 * DOT];
    const frame = make("svg:svg", { x: left, y: top, width, height, viewBox: `${left} ${top} ${width} ${height}` });
    frame.style.overflow = "hidden";
    const line = (points, style) => {
      const corners = points.map(([at, value]) => `${x(at).toFixed(1)},${y(value).toFixed(1)}`);
      frame.append(make("svg:path", { class: "line", d: `M${corners.join("L")}`, style }));
    };
    pieces.forEach((ofSeries, place) => {
      const colour = `stroke: ${colourOf(place)}`;
      // Where stages have one point each, a dotted line leads from one to the next.
      if (ofSeries.length > 1 && ofSeries.every((piece) => piece.length === 1))
        line(ofSeries.flat(), `${colour}; stroke-dasharray: 1 5`);
      for (const piece of ofSeries) {
        if (piece.length > 1) line(piece, `${colour}; stroke-width: 1.7`);
        else
          for (const [at, value] of piece)
            frame.append(make("svg:circle", { class: "point", cx: x(at), cy: y(value), r: DOT, style: `fill: ${colourOf(place)}` }));
      }
    });
    return frame;
  }

  function draw(one) {
    const width = one.svg.getBoundingClientRect().width;
    if (!width) return;
    const pieces = one.series.map(piecesOf);
    one.svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    if (!pieces.flat().length) {
      one.view = null;
      one.range.hidden = true;
      const middle = { x: width / 2, y: HEIGHT / 2, "text-anchor": "middle" };
      one.svg.replaceChildren(make("svg:text", middle, "no figures here"));
      return;
    }
    const scales = scalesOf(width, ...limits(one, pieces));
    const [here, cross] = ["here", "cross"].map((name) =>
      make("svg:line", { class: name, y1: MARGIN.top, y2: BOTTOM, visibility: "hidden" }));
    one.svg.replaceChildren(...stageMarks(scales), ...axes(scales), curves(pieces, scales), here, cross);
    const counts = [...new Set(pieces.flat(2).map(([at]) => at))].sort((a, b) => a - b);
    one.view = { ...scales, here, cross, counts };
    showHere(one);
  }

  /** Move a vertical line to a count of images, or hide it. */
  function putLine(line, at, view) {
    line.setAttribute("visibility", at === null ? "hidden" : "visible");
    if (at !== null) for (const end of ["x1", "x2"]) line.setAttribute(end, view.x(at));
  }

  /** Mark the moment of the pictures above, if it is in the visible part of the run. */
  function showHere({ view }) {
    const visible = moment !== null && moment >= zoom[0] && moment <= zoom[1];
    if (view) putLine(view.here, visible ? moment : null, view);
  }

  /** Move the crosshair to a count, or hide it; show the values there, or the last, in the legend. */
  function read({ view, series, readings }, at) {
    if (view) putLine(view.cross, at, view);
    series.forEach(({ at: counts, values }, place) => {
      const where = at === null ? counts.length - 1 : nearest(counts, at);
      readings[place].textContent = inDigits(values[where]);
    });
  }

  function readAll(at) {
    reading = at;
    for (const one of all) read(one, at);
  }

  /** Show stage, phase and all values at a count next to the crosshair. */
  function showTip({ card, svg, tip, view, series, readings }, at) {
    tip.hidden = false;
    const { stage, seen, alpha, phase } = scheduleAt(at);
    const rows = series.map(({ label }, place) =>
      make("p", { style: `--series: ${colourOf(place)}` }, make("i"), label, make("b", {}, readings[place].textContent)));
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

  /** Read the values nearest to the pointer. */
  function readByPointer(one, event) {
    const { svg, view } = one;
    if (!view) return;
    const at = view.counts[nearest(view.counts, view.countAt(event.clientX - svg.getBoundingClientRect().left))];
    readAll(at);
    showTip(one, at);
  }

  /** Move to other values by a key, and announce them to screen readers. */
  function readByKey(one, event) {
    const { view, series, readings } = one;
    if (!view) return;
    const last = view.counts.length - 1;
    const now = nearest(view.counts, reading ?? zoom[1]);
    const places = { ArrowLeft: now - 1, ArrowRight: now + 1, Home: 0, End: last,
      PageDown: now + Math.ceil(last / 10), PageUp: now - Math.ceil(last / 10) };
    if (!(event.key in places)) return;
    event.preventDefault();
    const at = view.counts[Math.max(0, Math.min(last, places[event.key]))];
    readAll(at);
    showTip(one, at);
    const values = series.map(({ label }, place) => `${label} ${readings[place].textContent}`);
    spoken.textContent = `${kimg(at)}: ${values.join(", ")}`;
  }

  /** A chart that draws itself whenever its width changes, and is read by pointer or keys. */
  function chartOf(chart) {
    const one = cardOf(chart);
    const leave = () => {
      one.tip.hidden = true;
      readAll(null);
    };
    one.svg.addEventListener("pointermove", (event) => readByPointer(one, event));
    one.svg.addEventListener("pointerleave", leave);
    one.svg.addEventListener("keydown", (event) => readByKey(one, event));
    one.svg.addEventListener("blur", leave);
    one.range.addEventListener("click", () => {
      one.clipped = !one.clipped;
      draw(one);
    });
    new ResizeObserver(() => draw(one)).observe(one.svg);
    read(one, null);
    return one;
  }

  const all = container ? report.charts.map(chartOf) : [];
  document.addEventListener("moment", (event) => {
    moment = event.detail;
    for (const one of all) showHere(one);
  });

  // Zoom: the whole run, or one of the started stages.
  const parts = [["All", [0, runLength]]];
  for (const stage of report.stages)
    if (stage.images_seen) parts.push([String(stage.resolution), [stage.begins, stage.begins + lengthOf(stage)]]);
  const chosen = parts.find(([name]) => name === kept.zoom) ?? parts[0];
  zoom = chosen[1];
  const buttons = parts.length > 2 && all.length ? parts.map(([name, part]) => {
    const button = make("button", { type: "button", "aria-pressed": String(name === chosen[0]) }, name);
    button.addEventListener("click", () => {
      zoom = part;
      keep("zoom", name);
      for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
      for (const one of all) draw(one);
    });
    return button;
  }) : [];
  document.getElementById("zoom").append(...buttons);
}

// The same latents through all of training: mosaic, slider, one enlarged latent, reals and fakes.
{
  const { frames, columns, latents, reals } = report.growth;
  const FRAME_MILLISECONDS = 220;
  const GAP_SHARE = 0.06;

  const load = (picture) => {
    const image = new Image();
    image.src = picture;
    return image;
  };
  const images = frames.map((frame) => load(frame.picture));

  /** Draw something as soon as its picture is decoded. */
  const whenReady = (image, draw) =>
    image.complete && image.naturalWidth ? draw() : image.addEventListener("load", draw, { once: true });

  /** One latent's square of a frame's picture. */
  function cellOf(image, index) {
    const side = image.naturalWidth / columns;
    return [image, (index % columns) * side, Math.floor(index / columns) * side, side, side];
  }

  /** All latents of a picture, with gaps. */
  function drawMosaic(canvas, image) {
    const cell = Math.max(8, Math.round((canvas.clientWidth * devicePixelRatio) / columns));
    const gap = columns > 1 ? Math.round(cell * GAP_SHARE) : 0;
    canvas.width = canvas.height = columns * cell;
    const pen = canvas.getContext("2d");
    const small = image.naturalWidth / columns < cell;
    pen.imageSmoothingEnabled = !small;
    for (let index = 0; index < latents; index++) {
      const x = (index % columns) * cell;
      const y = Math.floor(index / columns) * cell;
      pen.drawImage(...cellOf(image, index), x + gap / 2, y + gap / 2, cell - gap, cell - gap);
    }
  }

  /** One latent of a picture, as large as the canvas. */
  function drawOne(canvas, image, index) {
    const side = Math.max(8, Math.round(canvas.clientWidth * devicePixelRatio));
    canvas.width = canvas.height = side;
    const pen = canvas.getContext("2d");
    pen.imageSmoothingEnabled = image.naturalWidth / columns > side;
    pen.drawImage(...cellOf(image, index), 0, 0, side, side);
  }

  const lastFrameOf = (resolution) => frames.findLastIndex((frame) => frame.resolution === resolution);
  const stagesShown = report.stages.filter((stage) => lastFrameOf(stage.resolution) >= 0);
  const sizeOf = (resolution) => `${resolution} × ${resolution}`;

  if (frames.length) {
    const element = (id) => document.getElementById(id);
    const mosaic = element("mosaic");
    const canvas = mosaic.querySelector("canvas");
    const [one, strip, slider, play, where] = ["one", "strip", "slider", "play", "where"].map(element);
    let chosen = 0;
    // The newest frame stays the newest when there are more.
    const before = frames.findLastIndex((frame) => frame.at <= (kept.at ?? Infinity));
    let shown = Math.max(0, before);
    slider.value = String(shown);
    let timer = null;

    // A button over every picture: one of them is in the tab order, arrows move among them.
    const cells = make("div", { class: "cells", style: `grid-template-columns: repeat(${columns}, 1fr)` });
    for (let index = 0; index < latents; index++) {
      const cell = make("button", { type: "button", "aria-label": `Latent ${index + 1}` });
      cell.addEventListener("click", () => choose(index));
      cells.append(cell);
    }
    if (latents > 1) mosaic.append(cells);
    cells.addEventListener("keydown", (event) => {
      const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns };
      const next = chosen + (steps[event.key] ?? NaN);
      if (!(next >= 0 && next < latents)) return;
      event.preventDefault();
      choose(next);
      cells.children[next].focus();
    });

    const thumbnails = stagesShown.map((stage, place) => {
      const picture = make("canvas");
      const button = make("button", { type: "button" }, picture, String(stage.resolution));
      button.setAttribute("aria-label", `${sizeOf(stage.resolution)}: go there`);
      button.addEventListener("click", () => goTo(lastFrameOf(stage.resolution)));
      strip.append(make("li", { style: `--grow: ${1 + 0.35 * place}` }, button));
      return { stage, picture, button };
    });

    // Under the slider: the stages at their frames, in their colours.
    const share = (place) => (frames.length > 1 ? place / (frames.length - 1) : 0);
    const colours = [];
    const segments = stagesShown.map((stage) => {
      const first = frames.findIndex((frame) => frame.resolution === stage.resolution);
      const last = lastFrameOf(stage.resolution);
      const button = make("button", { type: "button" }, String(stage.resolution));
      button.style.left = `${(share(first) + share(last)) * 50}%`;
      button.setAttribute("aria-label", `Go to ${sizeOf(stage.resolution)}`);
      button.addEventListener("click", () => goTo(last));
      element("segments").append(button);
      const end = 100 * Math.min(1, share(last + 0.5));
      const colour = `oklch(var(--stage-light) var(--stage-colour) ${stage.hue})`;
      colours.push(`${colour} ${colours.length ? 100 * share(first - 0.5) : 0}% ${end}%`);
      return { stage, button };
    });
    slider.style.setProperty("--track", `linear-gradient(90deg, ${colours.join(", ")})`);

    function choose(index) {
      chosen = index;
      keep("latent", chosen);
      [...cells.children].forEach((cell, place) => {
        cell.setAttribute("aria-pressed", String(place === chosen));
        cell.tabIndex = place === chosen ? 0 : -1;
      });
      element("one-number").textContent = String(chosen + 1);
      draw();
      for (const { stage, picture } of thumbnails) {
        const image = images[lastFrameOf(stage.resolution)];
        whenReady(image, () => drawOne(picture, image, chosen));
      }
    }

    function goTo(place) {
      shown = place;
      slider.value = String(place);
      keep("at", shown === frames.length - 1 ? null : frames[shown].at);
      draw();
      showMoment(frames[shown].at);
    }

    function draw() {
      const frame = frames[shown];
      const size = sizeOf(frame.resolution);
      const current = shown;
      whenReady(images[shown], () => {
        if (current !== shown) return;
        drawMosaic(canvas, images[shown]);
        drawOne(one, images[shown], chosen);
      });
      const phase =
        frame.phase === "fading" ? `fading in, alpha ${frame.alpha.toFixed(2)}`
        : frame.phase === "separate" || frame.phase === "joint" ? frame.phase
        : "fully in";
      where.replaceChildren(
        make("b", {}, `${size}, ${phase}`),
        make("span", {}, `${kimg(frame.images_seen)} of this stage, ${kimg(frame.at)} in all`),
      );
      slider.setAttribute("aria-valuetext", `${size}, ${phase}, ${kimg(frame.at)}`);
      one.setAttribute("aria-label", `Latent ${chosen + 1} at ${size}`);
      element("one-size").textContent = size;
      for (const { stage, button } of [...thumbnails, ...segments])
        button.setAttribute("aria-current", String(stage.resolution === frame.resolution));
    }

    function setPlaying(playing) {
      clearInterval(timer);
      timer = playing ? setInterval(next, FRAME_MILLISECONDS) : null;
      play.setAttribute("aria-pressed", String(playing));
      play.setAttribute("aria-label", playing ? "Pause" : "Play");
    }

    function next() {
      goTo(shown + 1);
      if (shown === frames.length - 1) setPlaying(false);
    }

    play.addEventListener("click", () => {
      if (timer === null && shown === frames.length - 1) goTo(0);
      setPlaying(timer === null && frames.length > 1);
    });
    slider.addEventListener("input", () => {
      setPlaying(false);
      goTo(Number(slider.value));
    });
    choose(Math.min(kept.latent ?? 0, latents - 1));
    new ResizeObserver(draw).observe(mosaic);
  }

  const pairs = document.getElementById("pairs");
  for (const { resolution, picture } of reals) {
    const fakes = images[lastFrameOf(resolution)];
    const figures = [["Real", load(picture)], ["Generated", fakes]].map(([name, image]) => {
      const canvas = make("canvas", { role: "img", "aria-label": `${name}, ${sizeOf(resolution)}` });
      const caption = image ? name : "Nothing generated yet";
      if (image)
        new ResizeObserver(() => whenReady(image, () => drawMosaic(canvas, image))).observe(canvas);
      return make("figure", {}, canvas, make("figcaption", {}, caption));
    });
    const title = make("h3", {}, sizeOf(resolution));
    pairs.append(make("article", { class: "pair" }, title, make("div", { class: "two" }, ...figures)));
  }
}

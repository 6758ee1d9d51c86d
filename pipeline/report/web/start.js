"use strict";
// Shared by the other scripts: the report's data, elements, number formats, the schedule.

const report = JSON.parse(document.getElementById("data").textContent);
const SVG = "http://www.w3.org/2000/svg";

/** An element with attributes and children; the prefix `svg:` creates an SVG element. */
function make(name, attributes = {}, ...children) {
  const [, svg, tag] = /^(svg:)?(.*)$/.exec(name);
  const element = svg ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** 0.00012345 -> 0.0001235, 12345.6 -> 12,346 */
function inDigits(value) {
  const size = Math.abs(value);
  if (size >= 1e6 || (size > 0 && size < 1e-4)) return value.toExponential(2);
  const decimals = size >= 1000 ? 0 : size >= 100 ? 1 : size >= 1 ? 2 : 4;
  return value.toLocaleString("en", { maximumFractionDigits: decimals });
}

/** Images as thousands, with the unit kimg. */
function kimg(images) {
  const decimals = images < 10_000 ? 2 : images < 1_000_000 ? 1 : 0;
  return `${(images / 1000).toLocaleString("en", { maximumFractionDigits: decimals })} kimg`;
}

/** What the reader has chosen on this page, kept when it is loaded again. */
const KEPT = `progan ${report.name}`;
const kept = JSON.parse(sessionStorage.getItem(KEPT) ?? "{}");
const keep = (name, value) => {
  kept[name] = value;
  sessionStorage.setItem(KEPT, JSON.stringify(kept));
};

const lengthOf = (stage) => Math.max(stage.total_images, stage.images_seen);
const lastStage = report.stages.at(-1);
const runLength = lastStage.begins + lengthOf(lastStage);

/** Names of a stage's phases, before and after its fade_images. */
const PHASES = {
  fade: ["fading in", "steady"],
  stacked: ["separate", "joint"],
  none: ["steady", "steady"],
};

/** The stage at a count of the run's images; a border belongs to the earlier stage. */
function stageAt(at) {
  return report.stages.find((stage) => at <= stage.begins + lengthOf(stage)) ?? lastStage;
}

/** Stage, its images, phase and alpha at a count of the run's images. */
function scheduleAt(at) {
  const stage = stageAt(at);
  const seen = at - stage.begins;
  const first = seen < stage.fade_images;
  const fading = first && stage.mode === "fade";
  return {
    stage,
    seen,
    alpha: fading ? seen / stage.fade_images : 1,
    phase: PHASES[stage.mode][first ? 0 : 1],
  };
}

/** About five round values between two others. */
function roundValues(low, high, about = 4) {
  const rough = (high - low) / about || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough);
  const values = [];
  for (let at = Math.ceil(low / step); at * step <= high + step * 1e-9; at++) values.push(at * step + 0);
  return values;
}

/** Index of the nearest value in an ascending list. */
function nearest(list, value) {
  let low = 0;
  let high = list.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (list[middle] < value) low = middle;
    else high = middle;
  }
  return Math.abs(list[low] - value) <= Math.abs(list[high] - value) ? low : high;
}

/** Notify all charts that the pictures shown are from another moment of the run. */
function showMoment(at) {
  document.dispatchEvent(new CustomEvent("moment", { detail: at }));
}

"use strict";
// The attention viewer. Its data stand in the page as JSON; nothing is fetched.
(function () {
  const data = JSON.parse(document.getElementById("viewer-data").textContent);
  const byId = (id) => document.getElementById("viewer-" + id);
  const root = byId("root");
  const stages = [...root.querySelectorAll("figure[data-arm]")];
  let current = data.start;

  const signed = (value) => (value <= -0.0005 ? "−" : "+") + Math.abs(value).toFixed(3);
  const known = (value) => value !== null && value !== undefined;

  /* Colour of a share (0 to 1) of the scale, between two of its steps. */
  function colour(share) {
    const place = Math.min(Math.max(share, 0), 1) * (data.colours.length - 1);
    const low = Math.min(Math.floor(place), data.colours.length - 2);
    return data.colours[low].map((value, k) => value + (place - low) * (data.colours[low + 1][k] - value));
  }

  /* For each of `size` pixels the two patches that it lies between, and how far: pixel centres at half-integers, the
     border extended, as mmpkd.evaluation.localization.upsample does before a map is scored. */
  function places(size, length) {
    return Array.from({ length: size }, (_, k) => {
      const place = Math.min(Math.max(((k + 0.5) * length) / size - 0.5, 0), length - 1);
      const low = Math.min(Math.floor(place), Math.max(length - 2, 0));
      return [low, Math.min(low + 1, length - 1), place - low];
    });
  }

  function drawMap(canvas, grid, top) {
    const context = canvas.getContext("2d");
    const picture = context.createImageData(canvas.width, canvas.height);
    const across = places(canvas.width, grid[0].length);
    places(canvas.height, grid.length).forEach(([up, down, share], y) => {
      across.forEach(([left, right, part], x) => {
        const above = grid[up][left] * (1 - part) + grid[up][right] * part;
        const below = grid[down][left] * (1 - part) + grid[down][right] * part;
        const rgb = colour((above * (1 - share) + below * share) / top);
        picture.data.set([rgb[0], rgb[1], rgb[2], 255], 4 * (y * canvas.width + x));
      });
    });
    context.putImageData(picture, 0, 0);
  }

  function drawLegend(top) {
    const legend = byId("legend");
    const context = legend.getContext("2d");
    for (let x = 0; x < legend.width; x += 1) {
      context.fillStyle = "rgb(" + colour(x / (legend.width - 1)).map(Math.round).join(",") + ")";
      context.fillRect(x, 0, 1, legend.height);
    }
    byId("uniform").style.left = 100 / top + "%";
    byId("top").textContent = "≥ " + top.toFixed(1);
  }

  /* The labels whose probability is shown: the findings that students predict, else all that they predict. */
  function shownLabels(chosen, arm) {
    const chances = chosen.chances[arm] || {};
    const findings = chosen.findings.filter((label) => label in chances);
    const labels = findings.length ? findings : Object.keys(chances);
    return labels.map((label) => "p(" + label + ") " + chances[label].toFixed(2));
  }

  function scoreWords(chosen, scores, arm) {
    const paired = arm !== data.reference && known(scores[arm]) && known(scores[data.reference]);
    return [
      data.metric + " " + (known(scores[arm]) ? scores[arm].toFixed(3) : "not defined"),
      ...(paired ? ["gain " + signed(scores[arm] - scores[data.reference])] : []),
      ...shownLabels(chosen, arm),
    ].join(", ");
  }

  function showPictures(chosen) {
    root.querySelectorAll("img").forEach((image) => { image.src = "data:image/png;base64," + chosen.image; });
    root.querySelectorAll("svg").forEach((svg) => svg.setAttribute("viewBox", "0 0 " + chosen.size + " " + chosen.size));
    root.querySelectorAll("path").forEach((path) => {
      path.setAttribute("d", path.classList.contains("marker") ? chosen.marker : chosen.outline);
      path.classList.toggle("hidden", !byId("roi").checked);
    });
  }

  function showMaps(chosen, method) {
    for (const stage of stages) {
      const grid = chosen.maps[method][stage.dataset.arm];
      stage.hidden = !grid;
      if (!grid) continue;
      drawMap(stage.querySelector("canvas"), grid, data.tops[method]);
      stage.querySelector("span").textContent = scoreWords(chosen, chosen.scores[method], stage.dataset.arm);
    }
  }

  function describe(chosen, method) {
    const finding = "finding: " + (chosen.findings.join(", ") || "none");
    const outlined = byId("roi").checked ? "ROI outlined." : "ROI not outlined.";
    return [chosen.cell, chosen.title, finding, data.methods[method]].join("; ") + ". " + outlined;
  }

  function show() {
    const chosen = data.cases[current];
    const method = byId("method").value;
    const cell = data.cells.findIndex((one) => one.cases.includes(current));
    const cases = data.cells[cell].cases.map((number) => new Option(data.cases[number].title, number));
    byId("cell").value = cell;
    byId("case").replaceChildren(...cases);
    byId("case").value = current;
    showPictures(chosen);
    showMaps(chosen, method);
    drawLegend(data.tops[method]);
    byId("record").textContent = "Privileged record (phantom): " + chosen.record;
    byId("record").hidden = !chosen.record;
    byId("status").textContent = describe(chosen, method);
    // Not `disabled`, which would take the focus away.
    byId("previous").setAttribute("aria-disabled", current === 0);
    byId("next").setAttribute("aria-disabled", current === data.cases.length - 1);
  }

  function fade() {
    const share = byId("opacity").value / 100;
    const drawn = [...stages.map((stage) => stage.querySelector("canvas")), byId("legend")];
    drawn.forEach((canvas) => { canvas.style.opacity = share; });
    byId("percent").textContent = byId("opacity").value + " %";
  }

  function go(number) {
    if (number < 0 || number >= data.cases.length) return;
    current = number;
    show();
  }

  function nextMap() {
    const methods = byId("method");
    methods.selectedIndex = (methods.selectedIndex + 1) % methods.length;
    show();
  }

  /* Keys work wherever the focus is, but in a list or field, and while the viewer is in sight. */
  function press(event) {
    const place = root.getBoundingClientRect();
    const typing = event.target.matches("select, textarea, input[type=search]");
    const away = place.bottom < 0 || place.top > window.innerHeight || !byId("shortcuts").checked;
    if (typing || away || event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key.toLowerCase();
    if (key === "n") go(current + 1);
    else if (key === "p") go(current - 1);
    else if (key === "m") nextMap();
    else if (key === "o") byId("roi").click();
    else return;
    event.preventDefault();
  }

  byId("previous").addEventListener("click", () => go(current - 1));
  byId("next").addEventListener("click", () => go(current + 1));
  byId("opacity").addEventListener("input", fade);
  byId("cell").addEventListener("change", () => go(data.cells[byId("cell").value].cases[0]));
  byId("case").addEventListener("change", () => go(Number(byId("case").value)));
  byId("method").addEventListener("change", show);
  byId("roi").addEventListener("change", show);
  document.addEventListener("keydown", press);
  root.hidden = false;
  show();
  fade();
})();

"use strict";
// The attention viewer. Its data stand in the page as JSON; nothing is fetched.
(function () {
  const data = JSON.parse(document.getElementById("viewer-data").textContent);
  const byId = (id) => document.getElementById("viewer-" + id);
  const root = byId("root");
  const canvas = byId("map");
  const arms = Object.keys(data.arms);

  const caseChoice = () => Number(byId("case").value);
  const armChoice = () => root.querySelector("input[name=viewer-arm]:checked").value;
  const signed = (value) => (value < 0 ? "−" : "+") + Math.abs(value).toFixed(3);
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

  function drawMap(grid, top) {
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

  function fillScores(scores, shown) {
    const rows = arms.filter((arm) => arm in scores).map((arm) => {
      const row = document.createElement("tr");
      const head = document.createElement("th");
      head.scope = "row";
      head.textContent = data.arms[arm];
      row.append(head);
      const paired = arm !== data.reference && known(scores[arm]) && known(scores[data.reference]);
      const gain = paired ? signed(scores[arm] - scores[data.reference]) : "–";
      for (const text of [known(scores[arm]) ? scores[arm].toFixed(3) : "not defined", gain]) {
        const cell = document.createElement("td");
        cell.className = "number";
        cell.textContent = text;
        row.append(cell);
      }
      row.className = arm === shown ? "shown" : "";
      return row;
    });
    byId("scores").replaceChildren(...rows);
  }

  function describe(chosen, method, arm) {
    const score = chosen.scores[method][arm];
    const words = known(score) ? data.metric + " " + score.toFixed(3) : data.metric + " not defined";
    const outlined = byId("roi").checked ? "ROI outlined." : "ROI not outlined.";
    return chosen.cell + ", " + chosen.title + ". " + data.arms[arm] + ", " + data.methods[method] + ": " + words + ". " + outlined;
  }

  function showPictures(chosen) {
    root.querySelectorAll("img").forEach((image) => { image.src = "data:image/png;base64," + chosen.image; });
    root.querySelectorAll("svg").forEach((svg) => svg.setAttribute("viewBox", "0 0 " + chosen.size + " " + chosen.size));
    root.querySelectorAll("path").forEach((path) => {
      path.setAttribute("d", chosen.outline);
      path.classList.toggle("hidden", !byId("roi").checked);
    });
  }

  function offerArms(maps) {
    root.querySelectorAll("input[name=viewer-arm]").forEach((input) => {
      input.disabled = !(input.value in maps);
      if (input.disabled && input.checked) root.querySelector("input[value='" + data.arm + "']").checked = true;
    });
  }

  function show() {
    const chosen = data.cases[caseChoice()];
    const method = byId("method").value;
    offerArms(chosen.maps[method]);
    const arm = armChoice();
    showPictures(chosen);
    drawMap(chosen.maps[method][arm], data.tops[method]);
    drawLegend(data.tops[method]);
    fillScores(chosen.scores[method], arm);
    byId("shown").textContent = data.arms[arm];
    byId("status").textContent = describe(chosen, method, arm);
    // Not `disabled`, which would take the focus away, and the keys with it.
    byId("previous").setAttribute("aria-disabled", caseChoice() === 0);
    byId("next").setAttribute("aria-disabled", caseChoice() === data.cases.length - 1);
  }

  function fade() {
    const share = byId("opacity").value / 100;
    canvas.style.opacity = share;
    byId("legend").style.opacity = share;
    byId("percent").textContent = byId("opacity").value + " %";
  }

  function step(by) {
    const number = caseChoice() + by;
    if (number < 0 || number >= data.cases.length) return;
    byId("case").value = number;
    show();
  }

  function press(event) {
    // A list takes letters and digits itself, and a combination with a modifier is the browser's.
    if (event.target.tagName === "SELECT" || event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key.toLowerCase();
    const input = root.querySelectorAll("input[name=viewer-arm]")[Number(key) - 1];
    if (key === "n") step(1);
    else if (key === "p") step(-1);
    else if (key === "o") byId("roi").click();
    else if (input && !input.disabled) { input.checked = true; show(); }
    else return;
    event.preventDefault();
  }

  byId("previous").addEventListener("click", () => step(-1));
  byId("next").addEventListener("click", () => step(1));
  byId("opacity").addEventListener("input", fade);
  root.addEventListener("change", show);
  root.addEventListener("keydown", press);
  root.hidden = false;
  show();
  fade();
})();

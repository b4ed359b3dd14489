"use strict";
(() => {
  // What is folded away would be missing on paper.
  window.addEventListener("beforeprint", () => {
    document.querySelectorAll("details").forEach((one) => { one.open = true; });
  });
  const detail = document.querySelector(".detail");
  if (!detail) return;
  const data = JSON.parse(document.getElementById("chart-data").textContent);
  const say = (text) => { detail.textContent = text; };

  // Which values hold at a height: those of the last one at or before it.
  const valuesAt = (height) => {
    let low = 0, high = data.heights.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (data.heights[middle] <= height) low = middle + 1; else high = middle;
    }
    return Math.max(0, low - 1);
  };
  const tell = (place) => {
    const values = data.titles.map((title, number) => `${title} ${data.values[place][number]}`);
    return `Height ${data.heights[place]}: ${values.join(", ")}`;
  };

  for (const svg of document.querySelectorAll("svg.chart")) {
    const x = data[svg.classList.contains("wide") ? "wide" : "narrow"];
    const scrub = svg.querySelector(".scrub"), cross = svg.querySelector(".cross");
    let place = data.heights.length - 1;
    const move = (to) => {
      place = Math.min(Math.max(to, 0), data.heights.length - 1);
      const line = cross.firstElementChild;
      line.setAttribute("x1", x[place]);
      line.setAttribute("x2", x[place]);
      cross.removeAttribute("hidden");
      scrub.setAttribute("aria-valuenow", data.heights[place]);
      scrub.setAttribute("aria-valuetext", tell(place));
      say(tell(place));
    };
    scrub.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect();
      const at = (event.clientX - box.left) * svg.viewBox.baseVal.width / box.width;
      let nearest = 0;
      x.forEach((one, number) => {
        if (Math.abs(one - at) < Math.abs(x[nearest] - at)) nearest = number;
      });
      move(nearest);
    });
    scrub.addEventListener("focus", () => move(place));
    scrub.addEventListener("keydown", (event) => {
      const to = {
        ArrowLeft: place - 1, ArrowDown: place - 1, ArrowRight: place + 1, ArrowUp: place + 1,
        PageUp: place + 10, PageDown: place - 10, Home: 0, End: data.heights.length - 1,
      }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      move(to);
    });

    for (const track of svg.querySelectorAll(".track")) {
      const marks = [...track.querySelectorAll(".mark")];
      marks.forEach((mark, number) => {
        const show = () => {
          svg.querySelectorAll(".mark.on").forEach((one) => one.classList.remove("on"));
          mark.classList.add("on");
          const words = mark.getAttribute("aria-label");
          const place = valuesAt(Number(mark.dataset.height));
          say(data.titles.length ? `${words}. ${tell(place)}` : words);
        };
        mark.addEventListener("pointerenter", show);
        mark.addEventListener("focus", show);
        mark.addEventListener("click", () => follow(mark));
        mark.addEventListener("keydown", (event) => {
          if (event.key === "Enter") return follow(mark);
          const to = {
            ArrowLeft: number - 1, ArrowUp: number - 1, ArrowRight: number + 1,
            ArrowDown: number + 1, Home: 0, End: marks.length - 1,
          }[event.key];
          if (to === undefined || !marks[to]) return;
          event.preventDefault();
          mark.tabIndex = -1;
          marks[to].tabIndex = 0;
          marks[to].focus();
        });
      });
    }
  }
  const follow = (mark) => {
    const id = `entry-${mark.dataset.side}-${mark.dataset.pos}`;
    if (document.getElementById(id)) location.hash = id;
  };
})();

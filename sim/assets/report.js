// Draws the charts of a report from the figures that stand beside them, as JSON in the page. Every number is in a table, too:
// without this script the page says the same. Colours are the tokens of the style sheet, read again when these change.
"use strict";
(() => {
  const charts = [...document.querySelectorAll("[data-chart]")].map(box => ({
    box,
    data: JSON.parse(box.parentElement.querySelector('script[type="application/json"]').textContent),
    drawn: null,
  }));
  const root = document.documentElement;
  // Of A4 between its margins, in pixels of CSS.
  const PRINTED = 660;

  // Colours and type, as they are now.
  const look = () => {
    const probe = document.createElement("span");
    document.body.append(probe);
    const token = name => {
      probe.style.color = `var(--${name})`;
      return getComputedStyle(probe).color;
    };
    const names = ["text", "muted", "line", "surface", "raised", "good", "bad", "accent", "line-strong", "scale-low", "scale-middle", "scale-high"];
    const colours = Object.fromEntries(names.map(name => [name, token(name)]));
    colours.series = [1, 2, 3, 4, 5, 6].map(number => token(`series-${number}`));
    probe.remove();
    return { ...colours, font: getComputedStyle(document.body).fontFamily };
  };

  const digits = (value, least) => value.toLocaleString("en", { minimumFractionDigits: least, maximumFractionDigits: 4 });
  const full = value => value === null || value === undefined ? "-" : digits(value, 0);
  const brief = value => {
    const size = Math.abs(value);
    return size >= 1e4 || (size > 0 && size < 1e-3) ? value.toLocaleString("en", { notation: "compact", maximumSignificantDigits: 3 }) : digits(value, 0);
  };
  const cut = (text, length) => text.length > length ? `${text.slice(0, length - 1)}…` : text;

  // What all charts have in common.
  const frame = (look, width) => ({
    animation: false,
    backgroundColor: "transparent",
    color: look.series,
    textStyle: { fontFamily: look.font, color: look.text },
    grid: { left: 8, right: 16, top: 36, bottom: 8, containLabel: true },
    legend: { show: false },
    tooltip: {
      renderMode: "richText", confine: true, backgroundColor: look.raised, borderColor: look.line, borderWidth: 1,
      textStyle: { color: look.text, fontSize: 12 }, axisPointer: { lineStyle: { color: look["line-strong"] } },
    },
    narrow: width < 500,
  });
  const axis = (look, more) => ({
    nameTextStyle: { color: look.muted }, axisLabel: { color: look.muted, hideOverlap: true, ...more.label },
    axisLine: { lineStyle: { color: look["line-strong"] } }, axisTick: { lineStyle: { color: look.line } },
    splitLine: { lineStyle: { color: look.line } }, ...more,
  });
  const values = (look, name, more) =>
    axis(look, { type: "value", name, nameGap: 10, scale: true, label: { formatter: brief }, ...more });
  const below = { nameLocation: "middle", nameGap: 28 };
  const legend = look => ({ show: true, top: 0, left: 0, itemWidth: 30, itemHeight: 8, textStyle: { color: look.text }, inactiveColor: look.muted });
  // Zoom by wheel, by two fingers, and by a bar below, which keys do not need: the table has every point.
  const zoom = (look, axes, printing) => printing ? [] : [
    { type: "inside", xAxisIndex: axes, zoomOnMouseWheel: "ctrl", moveOnMouseWheel: false, preventDefaultMouseMove: false },
    { type: "slider", xAxisIndex: axes, height: 18, bottom: 6, showDetail: false, showDataShadow: false, borderColor: look.line,
      fillerColor: look.line, backgroundColor: "transparent", handleStyle: { color: look.muted }, moveHandleSize: 0 },
  ];
  const symbols = ["circle", "rect", "triangle", "diamond", "roundRect", "pin"];
  const dashes = ["solid", "dashed", "dotted"];

  const kinds = {
    // Equity with the band of what it was on the way, and the drawdown below it.
    equity(data, look, base, printing) {
      const pairs = figures => data.blocks.map((block, place) => [block, figures[place]]);
      const span = data.low.map((low, place) => data.high[place] - low);
      const x = more => axis(look, { type: "value", min: "dataMin", max: "dataMax", label: { formatter: brief }, splitLine: { show: false }, ...more });
      const band = { type: "line", stack: "band", symbol: "none", lineStyle: { opacity: 0 }, silent: true, tooltip: { show: false }, stackStrategy: "all" };
      return {
        ...base,
        grid: [{ left: 72, right: 16, top: 28, height: "46%" }, { left: 72, right: 16, top: "68%", bottom: printing ? 40 : 62 }],
        xAxis: [x({ gridIndex: 0, axisLabel: { show: false } }), x({ gridIndex: 1, name: "block", nameLocation: "middle", nameGap: 24 })],
        yAxis: [values(look, "equity, NCT", { gridIndex: 0 }), values(look, "drawdown, NCT", { gridIndex: 1, inverse: true, scale: false, nameLocation: "start" })],
        dataZoom: zoom(look, [0, 1], printing),
        axisPointer: { link: [{ xAxisIndex: "all" }] },
        tooltip: {
          ...base.tooltip, trigger: "axis",
          formatter: parts => {
            const at = parts[0].dataIndex;
            return [`block ${full(data.blocks[at])}`, `equity ${full(data.equity[at])}`, `between ${full(data.low[at])} and ${full(data.high[at])}`,
              `drawdown ${full(data.drawdown[at])}`].join("\n");
          },
        },
        series: [
          { ...band, name: "least", data: pairs(data.low) },
          { ...band, name: "most", data: pairs(span), areaStyle: { color: look.series[0], opacity: 0.22 } },
          { name: "equity", type: "line", symbol: "none", data: pairs(data.equity), lineStyle: { width: 1.6 }, color: look.series[0] },
          { name: "drawdown", type: "line", step: "middle", symbol: "none", xAxisIndex: 1, yAxisIndex: 1, data: pairs(data.drawdown),
            color: look.bad, lineStyle: { width: 1 }, areaStyle: { opacity: 0.3 } },
        ],
      };
    },

    // Lines over numbers or over names.
    lines(data, look, base, printing) {
      const several = data.series.length > 1;
      const points = one => one.points || (data.x ? data.x.map((x, place) => [x, one.values[place]]) : one.values);
      const rows = several ? Math.ceil(data.series.length / (base.narrow ? 2 : 5)) : 0;
      const zooms = data.zoom ? zoom(look, [0], printing) : [];
      const x = data.names
        ? axis(look, { type: "category", data: data.names, boundaryGap: false, splitLine: { show: false } })
        : axis(look, { type: "value", name: data.xName, ...below, min: "dataMin", max: "dataMax", label: { formatter: brief }, splitLine: { show: false } });
      return {
        ...base,
        grid: { ...base.grid, top: 30 + 24 * Math.min(rows, 8), bottom: (data.names ? 8 : 22) + (zooms.length ? 30 : 0) },
        legend: several ? legend(look) : base.legend,
        xAxis: x,
        yAxis: values(look, data.unit, { scale: !data.series.some(one => one.area) }),
        dataZoom: zooms,
        tooltip: { ...base.tooltip, trigger: "axis", valueFormatter: full },
        series: data.series.map((one, place) => ({
          name: one.name, type: "line", data: points(one), symbol: data.names ? symbols[place % symbols.length] : "none", symbolSize: 6,
          color: look.series[place % look.series.length], lineStyle: { width: 1.6, type: dashes[Math.floor(place / look.series.length) % dashes.length] },
          areaStyle: one.area ? { opacity: 0.22 } : undefined, step: one.area ? "end" : undefined,
        })),
      };
    },

    // Bars with names on the left, the first on top; those below zero are red.
    bars(data, look, base) {
      const names = data.bars.map(bar => bar.name);
      return {
        ...base,
        grid: { ...base.grid, top: 8, bottom: 24 },
        xAxis: values(look, data.unit, { ...below, scale: false }),
        yAxis: axis(look, { type: "category", inverse: true, data: names, label: { width: base.narrow ? 110 : 200, overflow: "truncate", hideOverlap: false, interval: 0 }, splitLine: { show: false } }),
        tooltip: { ...base.tooltip, formatter: part => `${part.name}\n${full(part.value)} ${data.unit}` },
        series: [{
          type: "bar", barMaxWidth: 22,
          data: data.bars.map((bar, place) => ({
            value: bar.value,
            itemStyle: { color: bar.value < 0 ? look.bad : look.series[0], opacity: data.marked === null || data.marked === undefined || data.marked === place ? 1 : 0.45 },
          })),
        }],
      };
    },

    // The same with names below.
    columns(data, look, base) {
      return {
        ...base,
        xAxis: axis(look, { type: "category", data: data.bars.map(bar => bar.name), splitLine: { show: false } }),
        yAxis: values(look, data.unit, { scale: false }),
        tooltip: { ...base.tooltip, formatter: part => `${part.name}\n${full(part.value)} ${data.unit}` },
        series: [{ type: "bar", barMaxWidth: 36, data: data.bars.map(bar => ({ value: bar.value, itemStyle: { color: bar.value < 0 ? look.bad : look.series[0] } })) }],
      };
    },

    // From what there was, step by step, to the total.
    waterfall(data, look, base) {
      let level = data.start ? data.start.value : 0;
      const whole = (bar, colour) => ({ name: bar.name, from: 0, to: bar.value, value: bar.value, colour });
      const bars = data.start ? [whole(data.start, look.series[0])] : [];
      for (const step of data.steps) {
        // What is missing to the total is neither good nor bad.
        const colour = step.value < 0 ? look.bad : data.start ? look.series[1] : look.good;
        bars.push({ name: step.name, from: level, to: level + step.value, value: step.value, colour });
        level += step.value;
      }
      bars.push(whole(data.total, look.series[0]));
      const bar = (context, draw) => {
        const place = draw.value(0);
        const [from, to] = [draw.coord([draw.value(1), place]), draw.coord([draw.value(2), place])];
        const height = Math.min(draw.size([0, 1])[1] * 0.62, 26);
        const shape = { x: Math.min(from[0], to[0]), y: from[1] - height / 2, width: Math.max(Math.abs(to[0] - from[0]), 1), height };
        return { type: "rect", shape, style: { fill: bars[place].colour } };
      };
      return {
        ...base,
        grid: { ...base.grid, top: 8, bottom: 24 },
        xAxis: values(look, data.unit, { ...below, scale: false }),
        yAxis: axis(look, { type: "category", inverse: true, data: bars.map(bar => bar.name), label: { interval: 0, hideOverlap: false }, splitLine: { show: false } }),
        tooltip: { ...base.tooltip, formatter: part => `${bars[part.dataIndex].name}\n${full(bars[part.dataIndex].value)} ${data.unit}` },
        series: [{ type: "custom", renderItem: bar, encode: { x: [1, 2], y: 0 }, data: bars.map((bar, place) => [place, bar.from, bar.to]) }],
      };
    },

    // What was said against what was so; on the diagonal, both are the same.
    reliability(data, look, base) {
      const most = Math.max(...data.series.flatMap(one => one.points.map(point => point[2])), 1);
      const unit = (name, more) => values(look, name, { min: 0, max: 1, scale: false, ...more });
      return {
        ...base,
        legend: legend(look),
        grid: { ...base.grid, top: base.narrow ? 96 : 56, bottom: 24 },
        xAxis: unit("said", below),
        yAxis: unit("malicious"),
        tooltip: { ...base.tooltip, formatter: part => `${part.seriesName}\nsaid ${full(part.value[0])}\nmalicious ${full(part.value[1])}\n${full(part.value[2])} artifacts` },
        series: data.series.map((one, place) => ({
          name: one.name, type: "line", data: one.points, color: look.series[place % look.series.length], symbol: symbols[place % symbols.length],
          symbolSize: point => 5 + 13 * Math.sqrt(point[2] / most), lineStyle: { width: 1.4, type: dashes[place % 2] }, itemStyle: { opacity: 0.85 },
          markLine: place ? undefined : { silent: true, symbol: "none", label: { show: false }, lineStyle: { color: look["line-strong"], type: "dashed" },
            data: [[{ coord: [0, 0] }, { coord: [1, 1] }]] },
        })),
      };
    },

    // A dot for each, and its interval.
    whiskers(data, look, base) {
      const rows = data.rows.filter(row => row.value !== null);
      const whisker = (context, draw) => {
        const place = draw.value(0);
        const [low, high] = [draw.coord([draw.value(1), place]), draw.coord([draw.value(2), place])];
        const line = (x1, y1, x2, y2) => ({ type: "line", shape: { x1, y1, x2, y2 }, style: { stroke: rows[place].marked ? look.accent : look.muted, lineWidth: 2 } });
        const [y, tick] = [low[1], 5];
        return { type: "group", children: [line(low[0], y, high[0], y), line(low[0], y - tick, low[0], y + tick), line(high[0], y - tick, high[0], y + tick)] };
      };
      const told = row => row.interval ? `${full(row.value)} [${full(row.interval[0])}, ${full(row.interval[1])}]` : `${full(row.value)}, no interval`;
      const withInterval = rows.map((row, place) => [place, ...(row.interval || [row.value, row.value])]);
      return {
        ...base,
        grid: { ...base.grid, top: 8, bottom: 24 },
        xAxis: values(look, data.unit, { ...below }),
        yAxis: axis(look, { type: "category", inverse: true, data: rows.map(row => row.name), label: { width: base.narrow ? 110 : 180, overflow: "truncate", hideOverlap: false, interval: 0 } }),
        tooltip: { ...base.tooltip, formatter: part => `${rows[part.data[0] !== undefined && part.seriesType === "custom" ? part.data[0] : part.dataIndex].name}\n${told(rows[part.dataIndex])}` },
        series: [
          { type: "custom", renderItem: whisker, encode: { x: [1, 2], y: 0 }, data: withInterval, z: 2 },
          { type: "scatter", data: rows.map((row, place) => ({ value: [row.value, place], itemStyle: { color: row.marked ? look.accent : look.series[0] } })), symbolSize: 9, z: 3,
            markLine: { silent: true, symbol: "none", label: { show: false }, lineStyle: { color: look["line-strong"], type: "dashed" }, data: [{ xAxis: 0 }] } },
        ],
      };
    },

    // Cells by colour: blue is more, orange is less, the middle is nothing.
    heat(data, look, base) {
      const largest = Math.max(...data.cells.map(cell => Math.abs(cell[2])), 1e-12);
      return {
        ...base,
        grid: { ...base.grid, top: 8, bottom: 64 },
        xAxis: axis(look, { type: "category", data: data.columns, label: { rotate: data.columns.length > 4 || base.narrow ? 45 : 0, interval: 0, hideOverlap: false, formatter: name => cut(name, base.narrow ? 10 : 20) } }),
        yAxis: axis(look, { type: "category", inverse: true, data: data.rows, label: { interval: 0, hideOverlap: false, formatter: name => cut(name, base.narrow ? 10 : 24) } }),
        visualMap: {
          min: -largest, max: largest, orient: "horizontal", left: "center", bottom: 0, itemHeight: base.narrow ? 120 : 220, itemWidth: 12, calculable: false,
          inRange: { color: [look["scale-low"], look["scale-middle"], look["scale-high"]] }, text: [`${brief(largest)} ${data.unit}`, brief(-largest)],
          textStyle: { color: look.muted }, dimension: 2,
        },
        tooltip: { ...base.tooltip, formatter: part => `${data.rows[part.value[1]]}\nagainst ${data.columns[part.value[0]]}\n${full(part.value[2])} ${data.unit} ${data.cells[part.dataIndex][3]}` },
        series: [{ type: "heatmap", data: data.cells.map(cell => cell.slice(0, 3)), itemStyle: { borderColor: look.surface, borderWidth: 1 } }],
      };
    },

    // Two settings of a sweep, as chosen.
    grid(data, look, base, printing, chosen) {
      const [x, y] = chosen;
      const grid = data.grids.find(grid => (grid.x === x && grid.y === y) || (grid.x === y && grid.y === x));
      const turned = grid && grid.x !== x;
      const cells = grid ? grid.cells.map(cell => [turned ? cell[1] : cell[0], turned ? cell[0] : cell[1], ...cell.slice(2)]) : [];
      const means = cells.map(cell => cell[2]);
      // All on one side of nothing: told by how they differ.
      const [lowest, highest] = [Math.min(...means), Math.max(...means)];
      const [least, most] = lowest < 0 ? [-Math.max(-lowest, highest, 1e-12), Math.max(-lowest, highest, 1e-12)] : [lowest, Math.max(highest, lowest + 1e-12)];
      const far = value => Math.abs((value - (least < 0 ? 0 : least)) / (most - (least < 0 ? 0 : least))) > 0.55;
      const label = { hideOverlap: false, interval: 0, formatter: name => cut(name, base.narrow ? 10 : 20) };
      return {
        ...base,
        grid: { ...base.grid, top: 28, bottom: 84 },
        xAxis: axis(look, { type: "category", data: data.axes[x].values, name: data.axes[x].name, nameLocation: "middle", nameGap: 30, label }),
        yAxis: axis(look, { type: "category", data: data.axes[y].values, name: data.axes[y].name, nameTextStyle: { color: look.muted, align: "left" }, label }),
        visualMap: {
          min: least, max: most, orient: "horizontal", left: "center", bottom: 0, itemHeight: base.narrow ? 120 : 220, itemWidth: 12, dimension: 2,
          inRange: { color: least < 0 ? [look["scale-low"], look["scale-middle"], look["scale-high"]] : [look["scale-middle"], look["scale-high"]] },
          text: [`${brief(most)} ${data.unit}`, brief(least)], textStyle: { color: look.muted },
        },
        tooltip: { ...base.tooltip, formatter: part => `${data.axes[x].values[part.value[0]]}, ${data.axes[y].values[part.value[1]]}\nmean ${full(part.value[2])} ${data.unit}\nbest ${full(cells[part.dataIndex][4])}\n${full(cells[part.dataIndex][3])} trials` },
        series: [{
          type: "heatmap", itemStyle: { borderColor: look.surface, borderWidth: 2 },
          data: cells.map(cell => ({ value: cell.slice(0, 3), label: { color: far(cell[2]) ? look.surface : look.text } })),
          label: { show: cells.length <= 60 && !base.narrow, formatter: part => brief(part.value[2]), fontWeight: 600 },
        }],
      };
    },

    // Profit and drawdown of each trial, and the front.
    scatter(data, look, base) {
      const dots = (points, more) => ({ type: "scatter", data: points, ...more });
      const front = [...data.front].sort((a, b) => a[0] - b[0]);
      return {
        ...base,
        legend: legend(look),
        grid: { ...base.grid, top: 56, bottom: 24 },
        xAxis: values(look, data.xName, below),
        yAxis: values(look, data.yName, { nameTextStyle: { color: look.muted, align: "left" } }),
        tooltip: { ...base.tooltip, formatter: part => `${part.value[2]}\n${full(part.value[1])} per bounty\ndrawdown ${full(part.value[0])}` },
        series: [
          dots(data.points, { name: "trials", symbolSize: 6, color: look.muted, itemStyle: { opacity: 0.6 } }),
          { type: "line", name: "the front", data: front, step: "end", symbol: "diamond", symbolSize: 11, color: look.series[0] },
        ],
      };
    },
  };

  const chosen = chart => {
    const bar = chart.box.closest("section").querySelector(".axes");
    return bar ? [".across", ".up"].map(end => Number(bar.querySelector(end).value)) : [0, 0];
  };

  const draw = (chart, look, width) => {
    const printing = width !== undefined;
    const base = frame(look, width || chart.box.clientWidth);
    const size = { width: printing ? Math.min(width, 660) : undefined };
    if (!chart.drawn) {
      chart.drawn = echarts.init(chart.box, null, { renderer: "svg", ...size });
    } else {
      chart.drawn.resize(printing ? size : { width: "auto" });
    }
    const { narrow, ...option } = kinds[chart.box.dataset.chart](chart.data, look, base, printing, chosen(chart));
    chart.drawn.setOption(option, true);
  };
  const drawAll = width => {
    const now = look();
    for (const chart of charts) draw(chart, now, width);
  };

  // Two different settings to begin with; who chooses one for both gets nothing to see.
  for (const bar of document.querySelectorAll(".axes")) {
    const chart = charts.find(chart => bar.parentElement.contains(chart.box));
    const [across, up] = [".across", ".up"].map(end => bar.querySelector(end));
    const first = chart.data.grids[0];
    [across.value, up.value] = [first.x, first.y];
    bar.hidden = false;
    bar.addEventListener("change", () => draw(chart, look()));
  }

  const theme = document.getElementById("theme");
  theme.hidden = false;
  let printing = false;
  theme.addEventListener("change", event => {
    if (event.target.value) root.dataset.theme = event.target.value;
    else delete root.dataset.theme;
    drawAll();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    if (!printing) drawAll();
  });

  // On paper, charts are light, as wide as the paper, and tables stay as they were folded.
  let before;
  addEventListener("beforeprint", () => {
    before = root.dataset.theme;
    root.dataset.theme = "light";
    printing = true;
    drawAll(PRINTED);
  });
  addEventListener("afterprint", () => {
    if (before) root.dataset.theme = before;
    else delete root.dataset.theme;
    printing = false;
    drawAll();
  });

  // From here on, boxes of charts have a size.
  root.dataset.charts = "0";
  drawAll();
  const watcher = new ResizeObserver(boxes => {
    if (printing) return;
    const now = look();
    for (const { target } of boxes) {
      const chart = charts.find(chart => chart.box === target);
      if (chart.drawn.getWidth() !== target.clientWidth) draw(chart, now);
    }
  });
  for (const chart of charts) watcher.observe(chart.box);
  root.dataset.charts = String(charts.length);
  performance.mark("charts drawn");
})();

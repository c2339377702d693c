// The chart types and components that pages use, and nothing else; README.md says how charts.min.js is made of it.
import { init, use } from "echarts/core";
import { BarChart, CustomChart, HeatmapChart, LineChart, ScatterChart } from "echarts/charts";
import {
  DataZoomComponent, GridComponent, LegendPlainComponent, MarkLineComponent, TooltipComponent, VisualMapComponent,
} from "echarts/components";
import { SVGRenderer } from "echarts/renderers";

use([
  BarChart, CustomChart, HeatmapChart, LineChart, ScatterChart, DataZoomComponent, GridComponent, LegendPlainComponent,
  MarkLineComponent, TooltipComponent, VisualMapComponent, SVGRenderer,
]);
export { init };

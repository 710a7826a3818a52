// The chart: the last 30 seconds of a value between 0 and 100, drawn on a canvas at each event.

const chartCanvas = document.getElementById('chart-canvas');
const chartValue = document.getElementById('chart-value');
const SPAN_MS = 30_000;
const GUTTER = 26; // for the numbers
let points = [];

// <shown>
events.addEventListener('chart', (event) => {
    const { value } = JSON.parse(event.data);
    const time = parseInt(event.lastEventId); // an id begins with its time
    points.push({ time, value });
    drawSoon();
});
// </shown>

let drawRequested = false;

/** At most once a frame: a new window gets half a minute of events in one go. */
function drawSoon() {
    if (drawRequested) return;
    drawRequested = true;
    requestAnimationFrame(() => {
        drawRequested = false;
        draw();
    });
}

function draw() {
    const { clientWidth: width, clientHeight: height } = chartCanvas;
    const scale = window.devicePixelRatio || 1;
    chartCanvas.width = width * scale;
    chartCanvas.height = height * scale;
    const pen = chartCanvas.getContext('2d');
    const color = (name) => getComputedStyle(chartCanvas).getPropertyValue(name);
    pen.scale(scale, scale);
    drawGrid(pen, width, height, color('--line'), color('--muted'));
    if (points.length === 0) return;

    const newest = points.at(-1);
    points = points.filter((point) => point.time > newest.time - SPAN_MS);
    chartValue.textContent = newest.value.toFixed(1);
    const x = (point) => width - 6 - ((newest.time - point.time) / SPAN_MS) * (width - 6 - GUTTER);
    const y = (point) => 8 + (1 - point.value / 100) * (height - 16);

    pen.beginPath();
    points.forEach((point) => pen.lineTo(x(point), y(point)));
    pen.lineWidth = 2;
    pen.lineJoin = 'round';
    pen.strokeStyle = pen.fillStyle = color('--accent');
    pen.stroke();
    pen.lineTo(x(newest), height - 8);
    pen.lineTo(x(points[0]), height - 8);
    pen.globalAlpha = 0.12;
    pen.fill();
    pen.globalAlpha = 1;
    pen.beginPath();
    pen.arc(x(newest), y(newest), 4, 0, 2 * Math.PI);
    pen.fill();
}

function drawGrid(pen, width, height, line, ink) {
    pen.strokeStyle = line;
    pen.fillStyle = ink;
    pen.font = '11px system-ui, sans-serif';
    for (const value of [0, 50, 100]) {
        const y = Math.round(8 + (1 - value / 100) * (height - 16)) + 0.5;
        pen.beginPath();
        pen.moveTo(GUTTER, y);
        pen.lineTo(width, y);
        pen.stroke();
        pen.fillText(value, 0, y + 4);
    }
}

window.addEventListener('resize', drawSoon);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', drawSoon);
drawSoon();

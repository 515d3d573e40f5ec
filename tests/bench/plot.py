# SPDX-License-Identifier: Apache-2.0
"""Results of tests/bench/run as an SVG of bars and a page."""
import datetime
import html
import math
import os

ROW, LEFT, WIDTH = 34, 330, 380


def svg(results):
    """One bar a result: how near its mark it came.  The line is the mark; green is on the right side of it."""
    height = ROW * len(results) + 46
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 160}" height="{height}" '
           'font-family="sans-serif" font-size="13">', '<rect width="100%" height="100%" fill="white"/>']
    for i, result in enumerate(results):
        most = result["mark"].startswith("at most")
        mark = float(result["mark"].split()[2]) if result["unit"] != "MiB" else 1.0
        share = min(result["ratio"] / mark, 2.0) / 2.0
        colour = "#3a7d44" if result["good"] else "#b3402a"
        y = 12 + i * ROW
        out += [f'<text x="{LEFT - 8}" y="{y + 16}" text-anchor="end">{html.escape(result["what"])}</text>',
                f'<rect x="{LEFT}" y="{y}" width="{share * WIDTH:.0f}" height="22" fill="{colour}"/>',
                f'<text x="{LEFT + share * WIDTH + 6:.0f}" y="{y + 16}">{result["ratio"]:.2f} '
                f'({"≤" if most else "≥"} {mark:g})</text>']
    middle = LEFT + WIDTH / 2
    out += [f'<line x1="{middle}" y1="4" x2="{middle}" y2="{height - 30}" stroke="black" stroke-dasharray="4 3"/>',
            f'<text x="{middle}" y="{height - 12}" text-anchor="middle">the mark</text>', "</svg>"]
    return "\n".join(out) + "\n"


def write(folder, results, skipped):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ratios.svg").write_text(svg(results))
    lines = ["# Measurements", "", f"Written by `tests/bench/run --plot` on {datetime.date.today()}, with {os.cpu_count()} "
             "processors. Ratios of two figures taken in one run, medians of interleaved rounds;",
             "the figures themselves only say what to expect.", "", "![](ratios.svg)", "",
             "| what | ratio | mark | figures |", "|---|---|---|---|"]
    for r in results:
        figures = ", ".join(f"{label} {median:.4g} {r['unit']}" for label, median in zip(r["labels"], r["medians"]))
        lines.append(f"| {r['what']} | {r['ratio']:.2f} | {r['mark']}{'' if r['good'] else ', **missed**'} | {figures} |")
    lines += [""] + [f"Skipped: {line}" for line in skipped]
    (folder / "README.md").write_text("\n".join(lines).rstrip() + "\n")


def curves(series, x_name, y_name):
    """series: {label: [(x, y), ...]}.  Both axes logarithmic."""
    width, height, left, bottom = 640, 400, 70, 50
    points = [point for line in series.values() for point in line]
    spans = [(math.log10(min(column)) - 0.05, math.log10(max(column)) + 0.1) for column in zip(*points)]

    def place(x, y):
        shares = [(math.log10(value) - low) / (high - low) for value, (low, high) in zip((x, y), spans)]
        return left + shares[0] * (width - left - 20), height - bottom - shares[1] * (height - bottom - 20)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" '
           'font-size="13">', '<rect width="100%" height="100%" fill="white"/>',
           f'<text x="{width / 2}" y="{height - 8}" text-anchor="middle">{html.escape(x_name)}</text>',
           f'<text x="14" y="{height / 2}" text-anchor="middle" transform="rotate(-90 14 {height / 2})">'
           f'{html.escape(y_name)}</text>']
    for x in sorted({x for x, _ in points}):
        out.append(f'<text x="{place(x, points[0][1])[0]:.0f}" y="{height - bottom + 16}" text-anchor="middle">{x:g}</text>')
    for power in range(math.ceil(spans[1][0]), math.floor(spans[1][1]) + 1):
        y = place(points[0][0], 10 ** power)[1]
        out += [f'<line x1="{left}" y1="{y:.0f}" x2="{width - 20}" y2="{y:.0f}" stroke="#ccc"/>',
                f'<text x="{left - 6}" y="{y + 4:.0f}" text-anchor="end">{10 ** power:g}</text>']
    for (label, line), colour in zip(series.items(), ("#3a7d44", "#b3402a", "#30519a")):
        path = " ".join("{:.1f},{:.1f}".format(*place(x, y)) for x, y in line)
        end = place(*line[-1])
        out += [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>',
                f'<text x="{end[0]:.0f}" y="{end[1] - 8:.0f}" text-anchor="end" fill="{colour}">{html.escape(label)}</text>']
    return "\n".join(out + ["</svg>"]) + "\n"

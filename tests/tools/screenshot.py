#!/usr/bin/env python3
"""screenshot.py OUT.svg [KEY...] -- COMMAND...: runs COMMAND in tmux at 80x24, sends the keys (tmux names), and writes the screen as SVG.

An argument `wait:TEXT` among the keys waits until TEXT is on the screen. Needs tmux; no Python packages.
    tests/tools/screenshot.py docs/home.svg wait:Foundations -- target/release/osai
"""
import html, re, subprocess, sys, time

COLOURS = {30: "#3b4252", 31: "#bf616a", 32: "#8fbc74", 33: "#e5b567", 34: "#81a1c1", 35: "#b48ead", 36: "#6cb6c4", 37: "#d8dee9", 90: "#7b8494"}
FOREGROUND, BACKGROUND, WIDTH, HEIGHT = "#d8dee9", "#1c2128", 8.4, 17


def tmux(*args):
    return subprocess.run(["tmux", "-L", "osai-shot", *args], check=True, capture_output=True, text=True).stdout


def screen():
    return tmux("capture-pane", "-e", "-p", "-t", "shot")


def indexed(n):
    """The colour with number n of a 256-colour terminal."""
    if n < 16:
        return COLOURS.get(30 + n if n < 8 else 82 + n, COLOURS.get(22 + n, FOREGROUND))
    if n >= 232:
        return "#" + f"{8 + 10 * (n - 232):02x}" * 3
    n -= 16
    return "#" + "".join(f"{(0, 95, 135, 175, 215, 255)[part]:02x}" for part in (n // 36, n // 6 % 6, n % 6))


def spans(line):
    """(text, style) pieces of a captured line; style is a dict."""
    style, at = {}, 0
    for match in re.finditer(r"\x1b\[([\d;]*)m", line):
        if match.start() > at:
            yield line[at:match.start()], dict(style)
        codes = [int(c or 0) for c in match.group(1).split(";")]
        while codes:
            code = codes.pop(0)
            if code == 0: style = {}
            elif code in (1, 2, 3, 4, 7): style[code] = True
            elif code in (22, 23, 24, 27): [style.pop(c, None) for c in {22: (1, 2), 23: (3,), 24: (4,), 27: (7,)}[code]]
            elif code in COLOURS: style["fg"] = COLOURS[code]
            elif code == 38 and codes[:1] == [5]: style["fg"] = indexed(codes[1]); codes = codes[2:]
            elif code == 39: style.pop("fg", None)
        at = match.end()
    if at < len(line):
        yield line[at:], style


def svg(lines, columns):
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{columns * WIDTH + 24:.0f}" height="{len(lines) * HEIGHT + 24}" '
           f'font-family="ui-monospace, DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="14">',
           f'<rect width="100%" height="100%" rx="6" fill="{BACKGROUND}"/>']
    for row, line in enumerate(lines):
        column = 0
        for text, style in spans(line):
            x, y = 12 + column * WIDTH, 12 + row * HEIGHT
            fill, length = style.get("fg", FOREGROUND), len(text) * WIDTH
            if style.get(7):
                out.append(f'<rect x="{x:.1f}" y="{y}" width="{length:.1f}" height="{HEIGHT}" fill="{fill}"/>')
                fill = BACKGROUND
            if text.strip():
                extra = ' font-weight="bold"' * bool(style.get(1)) + ' font-style="italic"' * bool(style.get(3))
                extra += ' text-decoration="underline"' * bool(style.get(4)) + ' opacity="0.65"' * bool(style.get(2))
                out.append(f'<text x="{x:.1f}" y="{y + 13}" fill="{fill}" textLength="{length:.1f}" xml:space="preserve"{extra}>{html.escape(text)}</text>')
            column += len(text)
    return "\n".join(out + ["</svg>"]) + "\n"


def main():
    out, rest = sys.argv[1], sys.argv[2:]
    split = rest.index("--")
    keys, command = rest[:split], rest[split + 1:]
    tmux("new-session", "-d", "-s", "shot", "-x", "80", "-y", "24", *command)
    try:
        for key in keys:
            if not key.startswith("wait:"):
                tmux("send-keys", "-t", "shot", key)
                continue
            end = time.monotonic() + 20
            while key[5:] not in re.sub(r"\x1b\[[\d;]*m", "", screen()):
                if time.monotonic() > end:
                    sys.exit(f"`{key[5:]}` did not come within 20 s:\n{screen()}")
                time.sleep(0.05)
        time.sleep(0.3)
        with open(out, "w") as file:
            file.write(svg(screen().rstrip("\n").split("\n"), 80))
    finally:
        subprocess.run(["tmux", "-L", "osai-shot", "kill-server"], capture_output=True)


main()

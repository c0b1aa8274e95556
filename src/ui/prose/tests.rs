use super::*;
use crate::theme::Palette;

fn theme() -> Theme {
    Theme::new(Palette::Dark)
}

fn text(t: &str) -> Vec<Inline> {
    vec![Inline::Text(t.into())]
}

fn para(t: &str) -> Block {
    Block::Paragraph(text(t))
}

fn rows(blocks: &[Block], columns: usize) -> Vec<String> {
    let page = layout(blocks, columns, &theme());
    (0..page.lines.len()).map(|l| page.text(l)).collect()
}

fn item(blocks: Vec<Block>) -> ListItem {
    ListItem { checked: None, blocks }
}

#[test]
fn blocks_are_set_apart_by_one_empty_line() {
    let heading = Block::Heading { level: 2, text: text("Open"), line: 1 };
    assert_eq!(
        rows(&[heading, para("one two"), Block::Rule, para("three")], 5),
        ["Open", "", "one", "two", "", "─────", "", "three"]
    );
}

#[test]
fn lists_hang_and_nest() {
    let inner = Block::List { start: None, items: vec![item(vec![para("deep down here")])] };
    let list =
        Block::List { start: Some(9), items: vec![item(vec![para("first of all"), inner]), item(vec![para("next")])] };
    assert_eq!(rows(&[list], 14), [" 9. first of", "    all", "    – deep", "      down", "      here", "10. next"]);
}

#[test]
fn task_items_show_their_mark_and_loose_items_stand_apart() {
    let list = Block::List {
        start: None,
        items: vec![
            ListItem { checked: Some(true), blocks: vec![para("done"), para("really")] },
            ListItem { checked: Some(false), blocks: vec![para("open")] },
        ],
    };
    assert_eq!(rows(&[list], 30), ["✓ done", "", "  really", "", "○ open"]);
}

#[test]
fn quotes_and_alerts_carry_their_bar_on_every_line() {
    let quote = Block::Quote(vec![para("a b"), Block::Quote(vec![para("c")])]);
    let alert = Block::Alert { kind: Alert::Warning, blocks: vec![para("mind the licence")] };
    assert_eq!(rows(&[quote, alert], 20), ["│ a b", "│ ", "│ │ c", "", "▌ Warning", "▌ mind the licence"]);
}

#[test]
fn table_cells_wrap_in_their_columns() {
    let table = Block::Table {
        head: vec![text("Published"), text("What you can do")],
        rows: vec![
            vec![text("weights"), text("run, fine-tune and ship it")],
            vec![text("everything"), text("rebuild it")],
        ],
    };
    assert_eq!(
        rows(std::slice::from_ref(&table), 28),
        [
            "Published   What you can do",
            "────────────────────────────",
            "weights     run, fine-tune",
            "            and ship it",
            "",
            "everything  rebuild it",
        ]
    );
}

#[test]
fn a_table_without_room_becomes_records() {
    let table = Block::Table {
        head: vec![text("Licence"), text("Commercial"), text("Attribution")],
        rows: vec![vec![text("Apache-2.0"), text("unconditionally"), text("required")]],
    };
    assert_eq!(rows(&[table], 24), ["Apache-2.0", "  Commercial:", "  unconditionally", "  Attribution: required"]);
}

#[test]
fn long_code_lines_go_on_and_a_wide_diagram_is_told_in_words() {
    let code = Block::Code { language: String::new(), text: "let x = 12345;".into() };
    let diagram =
        Block::Diagram { alt: "two boxes".into(), text: "┌───────────────┐".into() };
    assert_eq!(rows(&[code.clone(), diagram.clone()], 11), ["  let x = 1", "↪ 2345;", "", "Diagram:", "two boxes"]);
    assert_eq!(rows(&[diagram], 20), ["┌───────────────┐"]);
}

#[test]
fn links_and_labs_know_their_lines() {
    let link = Inline::Link { target: LinkTarget::Term("open-weights".into()), text: text("open weights") };
    let blocks = [
        Block::Paragraph(vec![Inline::Text("some say ".into()), link]),
        Block::Lab { id: "tokens".into(), title: "count".into(), to_come: false, params: "{}".into(), line: 3 },
        Block::Lab { id: "later".into(), title: "more".into(), to_come: true, params: "{}".into(), line: 4 },
    ];
    let page = layout(&blocks, 14, &theme());
    assert_eq!(page.links.iter().map(|l| l.line).collect::<Vec<_>>(), [0, 3]);
    assert_eq!(page.link_at(0, 10), Some(0));
    assert_eq!(page.link_at(1, 2), Some(0));
    assert_eq!(page.link_at(0, 3), None);
    assert_eq!(page.text(3), "▶ Lab: count");
    assert_eq!(page.text(6), "○ Lab to come:");
}

#[test]
fn search_ignores_case_and_runs_over_line_ends() {
    let page = layout(&[para("Open weights are not open source.")], 12, &theme());
    let found = find(&page, "WEIGHTS  are");
    assert_eq!(found, [Match(vec![(0, 5, 12), (1, 0, 3)])]);
    assert_eq!(find(&page, "open").len(), 2);
    assert_eq!(find(&page, "  "), []);
}

#[test]
fn escapes_and_reordering_never_reach_a_line() {
    let nested = Inline::Strong(vec![Inline::Text("\u{1b}".into()), Inline::Emphasis(text("[31m\u{202e}"))]);
    let table = Block::Table { head: vec![text("\u{9b}")], rows: vec![vec![text("\u{7}")]] };
    let blocks = [
        Block::Paragraph(vec![nested, Inline::Code("\u{1b}]52;c;x\u{7}".into())]),
        Block::Code { language: "rust".into(), text: "\u{1b}[2J".into() },
        Block::Diagram { alt: "\u{1b}".into(), text: "\u{1b}c".into() },
        Block::Lab { id: "x".into(), title: "\u{1b}[0m".into(), to_come: false, params: String::new(), line: 1 },
        Block::Heading { level: 2, text: text("\u{202e}\u{1b}"), line: 1 },
        table,
    ];
    let all = rows(&blocks, 40).concat();
    assert!(all.chars().all(|c| !c.is_control() && c != '\u{202e}'), "{all:?}");
}

#[test]
fn nesting_without_end_is_set_flat_and_ends() {
    let mut quote = para("bottom");
    for _ in 0..500 {
        quote = Block::Quote(vec![quote]);
    }
    let mut list = para("bottom");
    for _ in 0..500 {
        list = Block::List { start: None, items: vec![item(vec![list])] };
    }
    let page = layout(&[quote, list], 40, &theme());
    assert!(page.lines.iter().all(|l| width(l) <= 40));
}

#[test]
fn every_width_from_one_on_holds_its_lines() {
    let link =
        Inline::Link { target: LinkTarget::Web("https://example.org".into()), text: text("a longword 日本語") };
    let table = Block::Table {
        head: vec![text("head one"), text("b"), text("c")],
        rows: vec![vec![vec![link], text("x"), text("y z")]],
    };
    let blocks = [
        Block::Quote(vec![table.clone(), Block::List { start: Some(3), items: vec![item(vec![table])] }]),
        Block::Code { language: "rust".into(), text: "fn main() { println!(\"日本\"); }".into() },
    ];
    for columns in 1..60 {
        let page = layout(&blocks, columns, &theme());
        // A wide character needs two columns, code two for its lead.
        assert!(page.lines.iter().all(|l| width(l) <= columns.max(4)), "{columns}");
    }
}

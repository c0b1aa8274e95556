//! Two people speak: `model/corpus/dialogues.toml`, as plain text with the speaker's name before each line.

use std::sync::LazyLock;

use serde::Deserialize;

use super::document::Document;
use super::draw::Draw;
use super::glossary::TERMS;
use super::grammar::{Slots, expand};
use super::kinds::Kind;
use super::words::{name, thing};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenes {
    scene: Vec<Scene>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scene {
    id: String,
    lines: Vec<String>,
}

static SCENES: LazyLock<Vec<Scene>> = LazyLock::new(|| {
    let scenes: Scenes = toml::from_str(include_str!("../../model/corpus/dialogues.toml"))
        .expect("model/corpus/dialogues.toml is sound");
    scenes.scene
});

/// What can be counted when it is bought.
const COUNTED: [&str; 8] = ["apples", "pears", "plums", "carrots", "biscuits", "pancakes", "buns", "eggs"];
/// Places in front of which people can meet and turn left.
const PLACES: [&str; 10] =
    ["station", "library", "market", "museum", "school", "bakery", "church", "castle", "park", "theatre"];
const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// A scene.
pub fn dialogue(draw: &mut Draw) -> Document {
    let scene = draw.pick(&SCENES);
    let people = draw.distinct(3, name);
    let places = draw.distinct(2, |draw| draw.text(&PLACES));
    let term = draw.pick(&TERMS);
    let thing = thing(draw);
    let (n, m) = (draw.range(2, 9).to_string(), draw.range(2, 20).to_string());
    let mut slots = Slots::of([
        ("a", people[0].as_str()),
        ("b", &people[1]),
        ("c", &people[2]),
        ("place", places[0]),
        ("other", places[1]),
        ("thing", &thing),
        ("n", &n),
        ("m", &m),
        ("food", draw.text(&COUNTED)),
        ("day", draw.text(&DAYS)),
        ("answer", &term.answer),
    ]);
    slots.set("question", format!("What {} {}?", if term.plural { "are" } else { "is" }, term.with_article()));
    let mut lines = Vec::new();
    for (at, line) in scene.lines.iter().enumerate() {
        // Beginning with a blank after the colon, a name has the same tokens as anywhere.
        lines.push(format!("{}: {}", people[at % 2], expand(line, &slots, draw)));
    }
    Document::plain(Kind::Dialogue, &scene.id, &lines.join("\n "))
}

#[cfg(test)]
mod tests {
    use super::super::draw::Split;
    use super::*;

    #[test]
    fn three_scenes() {
        insta::assert_snapshot!(super::super::kinds::show(Kind::Dialogue, 1, Split::Train, 3));
    }
}

//! The content check on the real course, on one with every fault, and on hostile packs; look-up on the real terms.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use osai::content::{Answer, HitKind, Library, Lookup, QuestionKind, check_folder, mark};

/// The day of the checks.
const TODAY: &str = "2026-11-24";

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder");
    for (path, text) in files {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().expect("below the folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }
    dir
}

/// The first line of each fault.
fn headlines(dir: &Path) -> Vec<String> {
    let labs = ["tokens", "next-token"];
    let faults = check_folder(dir, &labs, TODAY).faults;
    faults.iter().map(|fault| fault.to_string().lines().next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn the_course_has_no_faults() {
    let checked = Library::embedded().check(&osai::labs::ids(), TODAY);
    let text: String = checked.faults.iter().map(|fault| format!("{fault}\n\n")).collect();
    assert!(checked.faults.is_empty(), "\n{text}");
}

#[test]
fn the_course_keeps_the_rules_of_the_house() {
    let checked = Library::embedded().check(&osai::labs::ids(), TODAY);
    let text: String = checked.house.iter().map(|fault| format!("{fault}\n\n")).collect();
    assert!(checked.house.is_empty(), "\n{text}");
}

const SOUND_TERM: &str = r#"+++
id = "token"
title = "Token"
short = "A piece of text with a number."
level = "foundations"
category = "Evaluation"
aliases = ["piece"]
why = "All is counted in them."
+++

A body.
"#;

const SOUND_LESSON: &str = r#"+++
id = "f1"
title = "First"
level = "foundations"
order = 1
minutes = 10
status = "ready"
outcomes = ["count"]
terms = ["token"]

[[sources]]
title = "A page"
url = "https://example.org"
checked = 2026-11-24
+++

Text.

## Counting
"#;

const SOUND_QUIZ: &str = r#"lesson = "f1"

[[question]]
id = "q1"
kind = "true-false"
ask = "Is it so?"
section = "Counting"
answer = true
why_true = "It is."
why_false = "It is."
"#;

fn sound_course() -> BTreeMap<&'static str, &'static str> {
    [("glossary/token.md", SOUND_TERM), ("lessons/f1-first.md", SOUND_LESSON), ("quizzes/f1.toml", SOUND_QUIZ)].into()
}

/// The faults of the sound course with one file more, or another one in its place.
fn faults_with(path: &'static str, text: &'static str) -> Vec<String> {
    let mut course = sound_course();
    course.insert(path, text);
    headlines(folder(&course.into_iter().collect::<Vec<_>>()).path())
}

#[test]
fn a_sound_course_has_no_faults() {
    assert_eq!(faults_with("glossary/token.md", SOUND_TERM), [""; 0]);
}

#[test]
fn all_faults_of_a_term_are_named() {
    let term = r##"+++
id = "tokn"
title = "Sampling"
short = "Sampling is drawing one of the likeliest tokens at random, as often as one likes, and this sentence goes on and on until it has many more characters than it may have."
level = "beginner"
category = "Evalution"
alias = ["x"]
aliases = ["Piece", ""]
related = ["tokens"]
confused_with = [{ id = "nothing" }]
lessons = ["f9"]

[[sources]]
title = "A page"
url = "http://example.org"
checked = "yesterday"
+++

# Title

#### Far below

See [this](term:tokem), [that](lesson:f2), [there](http://x.org) and <b>bold</b>.

![picture](https://example.org/x.png)
"##;
    assert_eq!(
        faults_with("glossary/sampling.md", term),
        [
            "glossary/sampling.md:2:1: the key `why` is missing; add it",
            "glossary/sampling.md:2:6: the id `tokn` and the file's name differ; write `sampling` or rename the file",
            "glossary/sampling.md:4:9: `short` has 166 characters but at most 160 fit; shorten it",
            "glossary/sampling.md:4:9: `short` begins with the term's own name `Sampling`; say what it is instead",
            "glossary/sampling.md:5:9: unknown level `beginner`; CONTRIBUTING.md lists the names",
            "glossary/sampling.md:6:12: unknown category `Evalution`; did you mean `Evaluation`?",
            "glossary/sampling.md:7:1: unknown key `alias`; did you mean `aliases`?",
            "glossary/sampling.md:8:21: `aliases` is empty; fill it in",
            "glossary/sampling.md:9:12: unknown term `tokens`; did you mean `token`?",
            "glossary/sampling.md:10:18: the key `why` is missing; add it",
            "glossary/sampling.md:10:25: no glossary term `nothing`; add glossary/nothing.md or mend the id",
            "glossary/sampling.md:11:12: unknown lesson `f9`; did you mean `f1`?",
            "glossary/sampling.md:15:7: the address `http://example.org` does not begin with `https://`; give one that does",
            "glossary/sampling.md:16:11: `yesterday` is no day; write it as 2026-11-24, without quotes",
            "glossary/sampling.md:19:1: a `#` heading; the title is in the front matter, sections begin with `##`",
            "glossary/sampling.md:21:1: a heading of level 4 below one of level 1; use level 2",
            "glossary/sampling.md:23:5: unknown term `tokem`; did you mean `token`?",
            "glossary/sampling.md:23:25: unknown lesson `f2`; did you mean `f1`?",
            "glossary/sampling.md:23:44: a link to `http://x.org`; links lead to `term:ID`, `lesson:ID` or `https://…`",
            "glossary/sampling.md:23:70: HTML is not shown; write markdown (and `<` in code marks)",
            "glossary/sampling.md:23:77: HTML is not shown; write markdown (and `<` in code marks)",
            "glossary/sampling.md:25:1: images are not shown; draw a ```diagram or say it in words",
            "glossary/token.md:7:12: the name `piece` belongs to glossary/sampling.md already; keep it in one of the two",
        ]
    );
}

/// What breaks a rule of the house in the sound course with these files more, or others in their place.
fn house_with(files: &[(&'static str, &'static str)]) -> Vec<String> {
    let mut course = sound_course();
    course.extend(files.iter().copied());
    let dir = folder(&course.into_iter().collect::<Vec<_>>());
    let house = check_folder(dir.path(), &[], TODAY).house;
    house.iter().map(|fault| fault.to_string().lines().next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn what_an_editor_would_mark_is_named() {
    let term = r##"+++
id = "sampling"
title = "Sampling"
short = "Drawing one of the likeliest tokens by the XQZ rule."
level = "foundations"
category = "Evaluation"
aliases = ["ZZT"]
described = ["to draw"]
related = ["token"]
why = "It makes texts differ, which is the license of the poet."
+++

In March 2023 a ZZT was optimized by the Quick Random Draw (QRD), and so it was `colored` by QRD and XQZ.
"##;
    assert_eq!(
        house_with(&[("glossary/sampling.md", term), ("glossary/token.md", SOUND_TERM)]),
        [
            "glossary/sampling.md:2:6: no lesson; name in `lessons` the one where the term is taught or used",
            "glossary/sampling.md:2:6: 1 phrases in `described` but 2 to 5 are wanted; add some",
            "glossary/sampling.md:2:6: `2023` is a fact that can change, and no source is named; add [[sources]]",
            "glossary/sampling.md:4:53: no reader can know `XQZ`; say what it stands for, or make it the alias of a term",
            "glossary/sampling.md:9:12: `token` does not name `sampling` in turn; add it to `related` in glossary/token.md",
            "glossary/sampling.md:10:44: `license` is American; write `licence`",
            "glossary/sampling.md:12:1: 22 words in the text but 60 to 250 are wanted; add some",
            "glossary/sampling.md:13:25: `optimized` is American; write `optimised`",
            "glossary/token.md:2:6: no lesson; name in `lessons` the one where the term is taught or used",
            "glossary/token.md:2:6: 0 phrases in `described` but 2 to 5 are wanted; add some",
            "glossary/token.md:10:1: 2 words in the text but 250 to 500 are wanted; add some",
        ]
    );
}

#[test]
fn a_sentence_stands_in_one_entry_only() {
    let twice = SOUND_TERM.replace("token", "piecework").replace("Token", "Piecework").replace("\"piece\"", "\"job\"");
    let (one, other) = (SOUND_TERM, twice.replace("A body.", "Nothing here. All is counted in them, all of it."));
    let one: &'static str = Box::leak(one.replace("A body.", "All is counted in them, all of it.").into_boxed_str());
    let faults =
        house_with(&[("glossary/piecework.md", Box::leak(other.into_boxed_str())), ("glossary/token.md", one)]);
    let said: Vec<&String> = faults.iter().filter(|fault| fault.contains("stands in")).collect();
    assert_eq!(
        said,
        [
            "glossary/token.md:4:10: `A piece of text with a number.…` stands in glossary/piecework.md too; say it once, \
             and link to it",
            "glossary/token.md:11:1: `All is counted in them, all of it.…` stands in glossary/piecework.md too; say it \
             once, and link to it"
        ]
    );
}

#[test]
fn a_source_read_over_a_year_ago_is_named_and_no_fault() {
    let course = sound_course();
    let stale = |today: &str| {
        let checked = check_folder(folder(&course.clone().into_iter().collect::<Vec<_>>()).path(), &[], today);
        assert_eq!(checked.faults, []);
        checked.stale.iter().map(|fault| fault.to_string().lines().next().unwrap_or_default().to_owned()).collect()
    };
    let none: Vec<String> = stale("2027-11-24");
    assert_eq!(none, [""; 0]);
    let one: Vec<String> = stale("2027-11-25");
    assert_eq!(
        one,
        ["lessons/f1-first.md:14:11: read on 2026-11-24, over a year ago; read the source again and mend the day"]
    );
}

const LICENCE: &str = r#"id = "paint"
name = "Paint Licence"
steward = "Zoo"
kind = "permissive"
osi_approved = false
summary = "Everything is allowed."
source = "text"
unverified = []

[[clause]]
id = "grant"
topic = "grant"
effect = "grants"
section = "1"
says = "You may paint."
source = "text"

[[answer]]
question = "sell"
verdict = "yes"
clauses = ["grant"]
says = "Yes."

[[sources]]
key = "text"
title = "A page"
url = "https://example.org"
checked = 2026-11-24
"#;

const QUESTIONS: &str = "[[question]]\nid = \"sell\"\nask = \"May we?\"\ndescribed = [\"sell it\"]\n";

#[test]
fn records_are_checked_among_themselves_and_against_the_glossary() {
    let records = |licence: &'static str| {
        let mut course = sound_course();
        course.extend([("records/licences/paint.toml", licence), ("records/questions.toml", QUESTIONS)]);
        headlines(folder(&course.into_iter().collect::<Vec<_>>()).path())
    };
    assert_eq!(records(LICENCE), [""; 0]);
    let faulty = LICENCE
        .replace("id = \"paint\"", "id = \"pain\"\nterm = \"tokem\"\ndate = \"May 2024\"")
        .replace("\"permissive\"", "\"permisive\"")
        .replace("clauses = [\"grant\"]", "clauses = [\"grand\"]")
        .replace("question = \"sell\"", "question = \"rent\"")
        .replace("effect = \"grants\"", "effect = \"sings\"")
        .replace("key = \"text\"", "key = \"txt\"");
    assert_eq!(
        records(Box::leak(faulty.into_boxed_str())),
        [
            "records/licences/paint.toml:1:6: the id `pain` and the file's name differ; write `paint` or rename the file",
            "records/licences/paint.toml:2:8: unknown term `tokem`; did you mean `token`?",
            "records/licences/paint.toml:3:8: `May 2024` is no day; write it as 2026-11-24, without quotes",
            "records/licences/paint.toml:6:8: unknown kind `permisive`; did you mean `permissive`?",
            "records/licences/paint.toml:9:10: unknown source `text`; did you mean `txt`?",
            "records/licences/paint.toml:15:10: unknown effect `sings`; it is one of grants, requires, forbids, limits, ends, disclaims",
            "records/licences/paint.toml:18:10: unknown source `text`; did you mean `txt`?",
            "records/licences/paint.toml:21:12: unknown question `rent`; mend the id",
            "records/licences/paint.toml:23:12: unknown clause `grand`; did you mean `grant`?",
            "records/licences/paint.toml:27:7: nothing names the source `txt`; name it where it is used, or remove it",
        ]
    );
}

#[test]
fn a_fault_is_shown_with_its_line_and_a_caret() {
    let mut course = sound_course();
    course.insert("glossary/token.md", "+++\nid = \"token\n+++\nx\n");
    let shown = check_folder(folder(&course.into_iter().collect::<Vec<_>>()).path(), &[], TODAY).faults[0].to_string();
    assert_eq!(
        shown,
        "\
glossary/token.md:2:12: not valid TOML: invalid basic string, expected `\"`
  |
2 | id = \"token
  |            ^"
    );
}

#[test]
fn files_that_are_not_what_they_must_be_are_named() {
    let shown = faults_with("glossary/no-front.md", "Just text.\n");
    assert_eq!(
        shown,
        [
            "glossary/no-front.md:1:1: no front matter; begin the file with a line `+++`, the keys, and another line `+++`"
        ]
    );
    let shown = faults_with("glossary/open.md", "+++\nid = \"open\"\n");
    assert_eq!(shown, ["glossary/open.md:1:1: front matter without an end; add a line `+++` below the keys"]);
    let shown = faults_with("lessons/notes.txt", "x");
    let why = "not a content file (lessons and terms end in `.md`, quizzes and records in `.toml`); take it out";
    assert_eq!(shown, [format!("lessons/notes.txt:1:1: {why}")]);
}

#[test]
fn all_faults_of_a_lesson_are_named() {
    let lesson = r#"+++
id = "f2"
title = "Second"
level = "foundations"
order = 1
minutes = 0
status = "ready"
outcomes = []
terms = ["tokken"]
prerequisites = ["f1", "f7"]
+++

```lab tokns
title = "Try it"
```

```lab generate
title = "Later"
to_come = true
```

```lab tokens
title = Try it
```

```lab
```

```diagram
+-------------------------------------------------------------------------+
```
"#;
    assert_eq!(
        faults_with("lessons/f2-second.md", lesson),
        [
            "lessons/f2-second.md:1:1: no sources; add [[sources]] with title, url and checked",
            "lessons/f2-second.md:1:1: no outcomes; say in `outcomes` what the learner can do afterwards",
            "lessons/f2-second.md:1:1: no quiz; add quizzes/ID.toml with the lesson's id",
            "lessons/f2-second.md:5:1: order 1 of this level is taken by lessons/f1-first.md; choose another number",
            "lessons/f2-second.md:6:11: `minutes` must be at least 1",
            "lessons/f2-second.md:9:10: unknown term `tokken`; did you mean `token`?",
            "lessons/f2-second.md:10:24: unknown lesson `f7`; did you mean `f1`?",
            "lessons/f2-second.md:13:8: unknown lab `tokns`; did you mean `tokens`?",
            "lessons/f2-second.md:22:1: the key `title` is missing; add it",
            "lessons/f2-second.md:23:9: not valid TOML: string values must be quoted, expected literal string",
            "lessons/f2-second.md:26:1: a lab without an id; write it behind `lab`",
            "lessons/f2-second.md:26:1: the key `title` is missing; add it",
            "lessons/f2-second.md:29:1: a diagram without words; write alt=\"what it shows\" behind `diagram`",
            "lessons/f2-second.md:30:1: a diagram line of 75 columns; at most 72 fit on a small screen",
        ]
    );
}

#[test]
fn status_and_body_must_agree() {
    let planned = "+++\nid = \"f2\"\ntitle = \"Second\"\nlevel = \"foundations\"\norder = 2\nminutes = 5\n\
                   status = \"planned\"\noutcomes = [\"x\"]\nterms = []\n+++\n";
    assert_eq!(faults_with("lessons/f2-second.md", planned), [""; 0]);
    let with_body: &'static str = Box::leak(format!("{planned}\nText.\n").into());
    assert_eq!(
        faults_with("lessons/f2-second.md", with_body),
        ["lessons/f2-second.md:1:1: a planned lesson has a body; set `status = \"ready\"` or take the body out"]
    );
    let without: &'static str = Box::leak(planned.replace("planned", "raedy").into());
    assert_eq!(
        faults_with("lessons/f2-second.md", without)[0],
        "lessons/f2-second.md:1:1: no body; write it or set `status = \"planned\"`"
    );
}

#[test]
fn all_faults_of_a_quiz_are_named() {
    let quiz = r#"lesson = "f1"

[[question]]
id = "one"
kind = "single"
ask = "Which?"
term = "tokeen"
section = "Countin"

[[question.choice]]
id = "a"
text = "A"
right = true
why = "Because."

[[question.choice]]
id = "a"
text = "B"
right = true

[[question]]
id = "one"
kind = "multiple"
ask = "Which?"

[[question.choice]]
id = "a"
text = "A"
why = "[No](term:nope)."

[[question]]
id = "Three"
kind = "cloze"
ask = "The {{first}} and the {{second}}."

[[question.blank]]
id = "first"
accept = []
why = "x"

[[question.blank]]
id = "third"
accept = ["x"]
why = "x"

[[question]]
id = "four"
kind = "numeric"
ask = "How many?"
answer = "three"
tolerance = -1
why = "x"

[[question]]
id = "five"
kind = "ordr"
ask = "In which order?"

[[question]]
id = "six"
kind = "true-false"
ask = "So?"
why_true = "x"
why_false = "x"
hint = "x"
"#;
    assert_eq!(
        faults_with("quizzes/f1.toml", quiz),
        [
            "quizzes/f1.toml:3:1: 2 choices are right but there must be exactly one; mend `right = true`",
            "quizzes/f1.toml:7:8: unknown term `tokeen`; did you mean `token`?",
            "quizzes/f1.toml:8:11: lesson F1 has no heading `Countin`; did you mean `Counting`?",
            "quizzes/f1.toml:16:1: the choice `a` is there twice; give one of them another id",
            "quizzes/f1.toml:16:1: the key `why` is missing; add it",
            "quizzes/f1.toml:21:1: no choice to make; add at least two [[question.choice]]",
            "quizzes/f1.toml:21:1: 0 choices are right but there must be at least one; mend `right = true`",
            "quizzes/f1.toml:21:1: the question `one` is there twice; give one of them another id",
            "quizzes/f1.toml:29:7: no glossary term `nope`; add glossary/nope.md or mend the id",
            "quizzes/f1.toml:32:6: `Three` is no id; use lower case letters, digits and single hyphens",
            "quizzes/f1.toml:34:7: the blank `{{second}}` is not described; add a [[question.blank]] with this id",
            "quizzes/f1.toml:36:1: no right answer; write at least one text in `accept`",
            "quizzes/f1.toml:41:1: the blank `third` does not occur in `ask`; write `{{third}}` there once",
            "quizzes/f1.toml:50:10: `answer` must be a number",
            "quizzes/f1.toml:51:13: `tolerance` must be at least 0",
            "quizzes/f1.toml:56:8: unknown kind `ordr`; did you mean `order`?",
            "quizzes/f1.toml:59:1: the key `answer` is missing; add it",
            "quizzes/f1.toml:65:1: unknown key `hint`; remove it",
        ]
    );
}

const PACK: &str = "id = \"school\"\ntitle = \"Our school\"\nversion = \"2\"\nosai = \"0.1\"\n";

#[test]
fn a_pack_replaces_and_adds_and_marks_what_is_its_own() {
    let term = SOUND_TERM.replace("token", "zebra-licence").replace("Token", "Zebra licence").replace("piece", "zl");
    let lesson = SOUND_LESSON
        .replace("\"f1\"", "\"z1\"")
        .replace("order = 1", "order = 99")
        .replace("terms = [\"token\"]", "terms = [\"zebra-licence\"]");
    let quiz = SOUND_QUIZ.replace("\"f1\"", "\"z1\"");
    let pack = folder(&[
        ("pack.toml", PACK),
        ("glossary/zebra-licence.md", &term),
        ("lessons/z1-first.md", &lesson),
        ("quizzes/z1.toml", &quiz),
    ]);
    let labs = osai::labs::ids();
    let library = Library::with_pack(pack.path(), &labs).expect("a sound pack");
    assert_eq!(library.version(), "school@2");
    assert!(matches!(library.glossary().lookup("ZL"), Lookup::Found(term) if term.id == "zebra-licence"));
    assert_eq!(library.find_lesson("Z1").map(|head| head.slug.as_str()), Some("first"));
    assert_eq!(library.record_key("quizzes/z1.toml", "z1/q1"), "school:z1/q1");
    assert_eq!(library.record_key("quizzes/f1.toml", "f1/x"), "f1/x");
    assert_eq!(
        library.question("school:z1/q1").map(|(lesson, question)| (lesson, question.id)),
        Some(("z1".into(), "q1".into()))
    );
    assert_eq!(library.question("z1/q1"), None);
    assert!(library.glossary().heads().len() > Library::embedded().glossary().heads().len());
}

#[test]
fn a_faulty_pack_is_not_opened() {
    let pack = folder(&[("pack.toml", &format!("{PACK}colour = 1\n").replace("0.1", "99.0")), ("glossary/x.md", "x")]);
    let faults = headlines(pack.path());
    assert_eq!(
        faults,
        [
            "pack.toml:4:8: the pack needs osai 99.0 but this is 0.1.0; update osai",
            "pack.toml:5:1: unknown key `colour`; remove it",
            "glossary/x.md:1:1: no front matter; begin the file with a line `+++`, the keys, and another line `+++`",
        ]
    );
    assert!(Library::with_pack(pack.path(), &[]).is_err());
}

/// Rows 51 and 52 of the table of faults.
#[cfg(unix)]
#[test]
fn nothing_outside_a_pack_is_read() {
    use std::os::unix::fs::symlink;
    let secret = folder(&[("secret.md", "SECRET"), ("deep/x.md", "SECRET")]);
    let pack = folder(&[("pack.toml", PACK), ("glossary/up/x.md", "x"), ("lessons/a\u{1b}[31m.md", "x")]);
    symlink(secret.path().join("secret.md"), pack.path().join("glossary/linked.md")).expect("a link");
    symlink(secret.path().join("deep"), pack.path().join("quizzes")).expect("a link");
    symlink("/dev/zero", pack.path().join("lessons/zero.md")).expect("a link");
    let mut faults = headlines(pack.path());
    faults.sort();
    assert_eq!(
        faults,
        [
            "glossary/linked.md:1:1: a link, folder or device where a file must be; take it out",
            "glossary/up:1:1: a link, folder or device where a file must be; take it out",
            "lessons/a␛[31m.md:1:1: a name with control characters; take it out",
            "lessons/zero.md:1:1: a link, folder or device where a file must be; take it out",
            "quizzes:1:1: not a folder; take it out",
        ]
    );
    let linked = folder(&[]);
    symlink(secret.path().join("secret.md"), linked.path().join("pack.toml")).expect("a link");
    let faults = headlines(linked.path());
    assert!(faults[0].starts_with("pack.toml:1:1: not readable"), "{faults:?}");
}

#[test]
fn a_pack_is_bounded() {
    let large = "x".repeat((1 << 20) + 1);
    let pack = folder(&[("pack.toml", PACK), ("glossary/large.md", &large)]);
    fs::write(pack.path().join("glossary/latin.md"), b"\xe9t\xe9").expect("a file");
    let mut faults = headlines(pack.path());
    faults.sort();
    assert_eq!(
        faults,
        [
            "glossary/large.md:1:1: over the limit of 1 MiB; split it or leave something out",
            "glossary/latin.md:1:1: not readable: it is not UTF-8; save it as UTF-8",
        ]
    );
    let many = folder(&[("pack.toml", PACK)]);
    fs::create_dir(many.path().join("glossary")).expect("a folder");
    for number in 0..=5_000 {
        fs::write(many.path().join(format!("glossary/.{number}")), "").expect("a file");
    }
    assert_eq!(headlines(many.path()), ["glossary:1:1: over the limit of 5000 files; split it or leave something out"]);
}

/// Row 54 of the table of faults: hostile TOML costs neither a panic nor time.
#[test]
fn hostile_files_are_faults_and_no_more() {
    for text in [
        "[".repeat(100_000),
        format!("lesson = \"f1\"\nx = {}", "[".repeat(100_000)),
        format!("lesson = \"f1\"\n{}", "[[question]]\nid = \"a\"\n".repeat(5_000)),
        format!("lesson = \"f1\"\na = {}1", "{a=".repeat(50_000)),
        "\u{0}\u{1b}\u{202e}".repeat(1000),
    ] {
        let dir = folder(&[("quizzes/f1.toml", &text)]);
        let shown: String = check_folder(dir.path(), &[], TODAY).faults.iter().map(ToString::to_string).collect();
        assert!(!shown.is_empty() && !shown.contains('\u{1b}') && !shown.contains('\u{202e}'));
    }
}

#[test]
fn every_name_finds_its_term_in_any_writing() {
    let library = Library::embedded();
    let glossary = library.glossary();
    // A plural may be another term's own name: the Transformers library is not several transformers.
    let is_name = |written: &str| {
        glossary.heads().iter().any(|head| head.aliases.iter().any(|alias| alias.eq_ignore_ascii_case(written)))
    };
    for head in glossary.heads() {
        for name in [&head.id, &head.title].into_iter().chain(&head.aliases) {
            // Short last words (`2.0`, `AI`) have no plural that is told apart from another name.
            let last = name.rsplit(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
            let plural = if last.len() < 3 || last.ends_with(['s', 'S']) { name.clone() } else { format!("{name}s") };
            let plural = if is_name(&plural) { name.clone() } else { plural };
            for written in [name.clone(), name.to_uppercase(), name.replace(['-', ' ', '_'], ""), plural] {
                let found = glossary.lookup(&written);
                assert!(matches!(&found, Lookup::Found(term) if term.id == head.id), "{written}: {found:?}");
            }
        }
    }
}

#[test]
fn one_wrong_letter_always_suggests_the_right_term() {
    let library = Library::embedded();
    let glossary = library.glossary();
    for head in glossary.heads() {
        for name in [&head.id, &head.title].into_iter().chain(&head.aliases) {
            let letters: Vec<char> = name.chars().collect();
            if letters.iter().filter(|c| c.is_alphanumeric()).count() < 4 {
                continue;
            }
            for place in (0..letters.len()).filter(|place| letters[*place].is_alphanumeric()) {
                let mut wrong = letters.clone();
                match place % 3 {
                    0 => wrong[place] = 'q',
                    1 => drop(wrong.remove(place)),
                    _ => wrong.swap(place, place - 1),
                }
                let wrong: String = wrong.into_iter().collect();
                let is_there = match glossary.lookup(&wrong) {
                    Lookup::Found(_) => true,
                    Lookup::Near(ids) => ids.contains(&head.id),
                };
                assert!(is_there, "`{wrong}` does not suggest `{}`", head.id);
            }
        }
    }
}

#[test]
fn what_nothing_is_near_to_suggests_nothing() {
    let library = Library::embedded();
    for query in ["", "...", "zzzzzzzzzzzz", &"x".repeat(10_000)] {
        assert_eq!(library.glossary().lookup(query), Lookup::Near(vec![]), "{query}");
    }
}

#[test]
fn the_search_puts_the_term_itself_first_and_knows_how_people_ask() {
    let library = Library::embedded();
    for head in library.glossary().heads() {
        let hits = library.search(&head.title, 5);
        assert_eq!((hits[0].kind, &hits[0].id), (HitKind::Term, &head.id), "{}", head.title);
        assert!(hits.iter().all(|hit| hit.excerpt.chars().count() <= 160), "{hits:?}");
        let term = library.glossary().term(&head.id).expect("listed");
        for phrase in &term.described {
            let found = library.search(phrase, 5);
            assert!(found.iter().any(|hit| hit.id == head.id), "`{phrase}` does not find `{}`", head.id);
        }
    }
    assert_eq!(library.search("  ?! ", 5), []);
}

#[test]
fn the_list_filters_fuzzily() {
    let library = Library::embedded();
    let glossary = library.glossary();
    assert_eq!(glossary.fuzzy(" ").len(), glossary.heads().len());
    let first = |query: &str| glossary.fuzzy(query).first().map(|place| glossary.heads()[*place].id.clone());
    assert_eq!(first("opnwei"), Some("open-weights".into()));
    assert_eq!(first("qqqq"), None);
}

/// Every question of the course, answered rightly and wrongly: a verdict with an explanation.
#[test]
fn every_question_can_be_answered() {
    let library = Library::embedded();
    for head in library.lessons() {
        let Some(quiz) = library.quiz(&head.id).expect("sound") else { continue };
        for question in &quiz.questions {
            let ids = |choices: &[osai::content::Choice], right: bool| {
                Answer::Choices(
                    choices.iter().filter(|choice| choice.right == right).map(|choice| choice.id.clone()).collect(),
                )
            };
            let (right, wrong) = match &question.kind {
                QuestionKind::Single(choices) | QuestionKind::Multiple(choices) => {
                    (ids(choices, true), ids(choices, false))
                }
                QuestionKind::Order(choices) => (ids(choices, false), Answer::Choices(vec![])),
                QuestionKind::TrueFalse { answer, .. } => (Answer::TrueFalse(*answer), Answer::TrueFalse(!answer)),
                QuestionKind::Numeric { answer, tolerance, .. } => {
                    (Answer::Number(answer + tolerance), Answer::Number(answer + 2.0 * tolerance + 1.0))
                }
                QuestionKind::Cloze(blanks) => (
                    Answer::Blanks(blanks.iter().map(|blank| blank.accept[0].to_uppercase()).collect()),
                    Answer::Blanks(vec![String::new(); blanks.len()]),
                ),
            };
            let (good, bad) = (mark(question, &right), mark(question, &wrong));
            assert!(good.right && good.score == 1.0 && !good.why.is_empty(), "{}/{}: {good:?}", head.id, question.id);
            assert!(
                !bad.right && bad.score < 1.0 && !bad.right_answer.is_empty(),
                "{}/{}: {bad:?}",
                head.id,
                question.id
            );
        }
    }
}

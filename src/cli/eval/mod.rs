//! `osai eval`: what a model can do, measured on documents that training never sees.
//!
//! Each question of the corpus's held-out side is asked, greedy, and the whole answer compared; Wilson's interval says
//! how far a share can be trusted. A model of osai's own reads the question as it was trained to; any other gets the same
//! words as a conversation in its own template, and is judged as strictly: that it must answer in the corpus's form, it
//! cannot know.

mod ask;
mod stories;
mod texts;

use std::collections::BTreeMap;
use std::io::Write;

use clap::Args as ClapArgs;
use serde::Serialize;

use super::environment::Globals;
use super::failure::Failure;
use super::out::{Out, safe};
use super::session::{self, Interrupt};
use super::values::count;
use crate::corpus::judge::Tally;
use crate::corpus::{CHAT_TEMPLATE, Kind, Recipe};

use stories::Told;
use texts::TextLoss;

/// Documents of osai's own model: the seed of the held-out ones.
const OWN: &str = include_str!("../../../model/recipe.toml");

/// Kinds without one right answer, or with answers that only memory can give.
const NOT_ASKED: [Kind; 5] = [Kind::Tale, Kind::Talk, Kind::Preference, Kind::Rare, Kind::Person];

/// `osai eval`.
#[derive(Debug, ClapArgs)]
pub struct EvalArgs {
    /// Skills to measure, all if not given
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = skill)]
    skills: Vec<Kind>,
    /// Questions for each skill
    #[arg(short = 'n', long, value_name = "N", default_value_t = 100, value_parser = count)]
    count: usize,
    /// Stories to judge by rules, of a model of osai's own
    #[arg(long, value_name = "N", default_value_t = 20)]
    stories: u64,
    /// Print the stories
    #[arg(long)]
    show_stories: bool,
    /// Print a wrong answer or more for each skill
    #[arg(long, value_name = "N", default_value_t = 0)]
    show_wrong: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn skills() -> impl Iterator<Item = Kind> {
    let is_asked = |kind: &Kind| {
        !NOT_ASKED.contains(kind) && !kind.document(1, crate::corpus::Split::Held, 0).questions().is_empty()
    };
    Kind::ALL.into_iter().filter(is_asked)
}

fn skill(name: &str) -> Result<Kind, String> {
    let known: Vec<&str> = skills().map(Kind::name).collect();
    Kind::named(name)
        .filter(|kind| known.contains(&kind.name()))
        .ok_or_else(|| format!("a skill is one of {}", known.join(", ")))
}

/// What was measured.
#[derive(Debug, Serialize)]
struct Report {
    model: String,
    seed: u64,
    is_own: bool,
    skills: Vec<Skill>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stories: Vec<Told>,
    texts: BTreeMap<&'static str, TextLoss>,
}

/// A skill, and the ways in which it is asked for.
#[derive(Debug, Serialize)]
struct Skill {
    name: &'static str,
    #[serde(flatten)]
    score: Scored,
    variants: BTreeMap<String, Scored>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    wrong: Vec<ask::Wrong>,
}

/// A share with its interval.
#[derive(Clone, Copy, Debug, Serialize)]
struct Scored {
    right: u32,
    asked: u32,
    share: f64,
    /// Wilson's, at 95%.
    interval: (f64, f64),
}

impl From<Tally> for Scored {
    fn from(tally: Tally) -> Self {
        Self { right: tally.right, asked: tally.asked, share: tally.share(), interval: tally.interval() }
    }
}

/// Measures a model.
pub fn eval(args: &EvalArgs, globals: &Globals, out: &mut Out) -> Result<(), Failure> {
    let seed = Recipe::parse(OWN).expect("checked by a test").seed;
    let mut model = session::open_model(globals)?;
    let interrupt = Interrupt::catch()?;
    let is_own = model.tokenizer().chat_template() == Some(CHAT_TEMPLATE);
    let wanted: Vec<Kind> = if args.skills.is_empty() { skills().collect() } else { args.skills.clone() };
    let mut report = Report {
        model: model.info().name.clone(),
        seed,
        is_own,
        skills: vec![],
        stories: vec![],
        texts: BTreeMap::new(),
    };
    if !args.json {
        writeln!(out, "{}, {} questions a skill, seed {seed}", safe(&report.model), args.count)?;
        if !is_own {
            writeln!(out, "asked as conversations in its own chat template; answers must match to the letter")?;
        }
        out.flush()?;
    }
    for kind in wanted {
        let (table, wrong) = ask::skill(&mut model, kind, seed, is_own, args, &interrupt)?;
        let variants = table.0.iter().map(|((_, variant), tally)| (variant.clone(), Scored::from(*tally))).collect();
        let skill = Skill { name: kind.name(), score: table.kind(kind).into(), variants, wrong };
        if !args.json {
            say_skill(&skill, out)?;
        }
        report.skills.push(skill);
    }
    if is_own {
        report.stories = stories::tell(&mut model, args.stories, &interrupt)?;
    }
    report.texts = texts::losses(&mut model, seed, is_own, &interrupt)?;
    if args.json {
        return out.json(&report);
    }
    say_rest(&report, args, out)
}

fn percent(score: &Scored) -> String {
    let (low, high) = score.interval;
    format!(
        "{:>5.1}% [{:>5.1}, {:>5.1}]  {:>4} of {:>4}",
        100.0 * score.share,
        100.0 * low,
        100.0 * high,
        score.right,
        score.asked
    )
}

fn say_skill(skill: &Skill, out: &mut Out) -> Result<(), Failure> {
    let name = out.paint(out.theme.accent, format!("{:<15}", skill.name));
    writeln!(out, "{name} {}", percent(&skill.score))?;
    if skill.variants.len() > 1 {
        for (variant, score) in &skill.variants {
            writeln!(out, "  {:<13} {}", safe(variant), percent(score))?;
        }
    }
    for wrong in &skill.wrong {
        writeln!(out, "    wanted {:?}", safe(&wrong.wanted))?;
        writeln!(out, "    got    {:?}", safe(&wrong.given))?;
    }
    Ok(out.flush()?)
}

fn say_rest(report: &Report, args: &EvalArgs, out: &mut Out) -> Result<(), Failure> {
    if !report.stories.is_empty() {
        let sound = report.stories.iter().filter(|told| told.faults.is_empty()).count();
        let all = report.stories.len();
        writeln!(out, "{:<15} {sound} of {all} without a fault that rules can see", "stories")?;
        for told in report.stories.iter().filter(|told| args.show_stories || !told.faults.is_empty()) {
            let faults = if told.faults.is_empty() { "no fault".into() } else { told.faults.join(", ") };
            writeln!(out, "  seed {}: {}", told.seed, safe(faults))?;
            if args.show_stories {
                writeln!(out, "    {}", safe(told.text.trim()))?;
            }
        }
    }
    writeln!(out, "{:<15} {:>10} {:>14}", "held-out text", "perplexity", "bits per byte")?;
    for (name, loss) in &report.texts {
        writeln!(out, "  {name:<13} {:>10.2} {:>14.3}", loss.perplexity, loss.bits_per_byte)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_a_skill_or_has_no_single_right_answer() {
        let known: Vec<Kind> = skills().collect();
        let left: Vec<&str> = Kind::ALL.into_iter().filter(|kind| !known.contains(kind)).map(Kind::name).collect();
        assert_eq!(left, ["story", "tale", "dialogue", "talk", "annals", "rare", "person", "preference"]);
        assert!(Recipe::parse(OWN).is_ok());
        assert!(skill("story").expect_err("no skill").starts_with("a skill is one of glossary, "));
    }
}

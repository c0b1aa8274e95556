//! Parses arguments of the size that osai's have, with clap, and prints one line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "floor", version, about = "the floor of a command line")]
struct Cli {
    #[arg(long, global = true)]
    data: Option<PathBuf>,
    #[arg(long, global = true, default_value = "auto")]
    color: String,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Look a term up
    Define {
        words: Vec<String>,
        #[arg(long)]
        short: bool,
    },
    /// Search the glossary
    Search {
        words: Vec<String>,
        #[arg(long, default_value_t = 5)]
        limit: usize,
    },
    /// Show a lesson
    Lesson { id: String },
    /// Ask the local model
    Chat {
        prompt: Vec<String>,
        #[arg(long)]
        model: Option<PathBuf>,
    },
    /// Show progress
    Progress,
}

fn main() {
    let cli = Cli::parse();
    match cli.command {
        Some(Command::Define { words, short }) => println!("{} {short} {} {:?}", words.join(" "), cli.color, cli.data),
        Some(Command::Search { words, limit }) => println!("{} {limit}", words.join(" ")),
        Some(Command::Lesson { id }) => println!("{id}"),
        Some(Command::Chat { prompt, model }) => println!("{} {model:?}", prompt.join(" ")),
        Some(Command::Progress) | None => println!("progress"),
    }
}

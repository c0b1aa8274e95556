//! Words as an editor sees them: American spellings, abbreviations, facts that need a source.

/// Names that look like abbreviations: data sets and benchmarks, papers and journals, file marks, programs.
const NAMES: &[&str] = &[
    "AIME",
    "AM",
    "BC",
    "COCO",
    "CVE",
    "DALL",
    "DANGEROUS",
    "DCLM",
    "ECCN",
    "EEA",
    "GLUE",
    "HIPAA",
    "HK",
    "ICLR",
    "IQ",
    "JSONL",
    "LF",
    "LLAMA",
    "MARCO",
    "MS",
    "MT",
    "MTEB",
    "ND",
    "NPU",
    "NTIA",
    "OLMES",
    "OPT",
    "OSCAR",
    "RFC",
    "RISC",
    "RL",
    "ROOTS",
    "RPC",
    "SB",
    "SHA",
    "SLSA",
    "SSH",
    "TMLR",
    "TPU",
    "XLA",
    "XXS",
    "YOLO",
];

/// Abbreviations that every reader knows, units, and names of companies and bodies that are nothing else.
const KNOWN: &[&str] = &[
    "AI", "AMD", "AND", "ARM", "AWS", "BBC", "CD", "CEO", "CPU", "CSV", "DVD", "EPYC", "EU", "FAQ", "GB", "GEMA",
    "HTML", "HTTP", "HTTPS", "IBM", "ID", "IEC", "II", "III", "INRIA", "IP", "ISO", "IT", "IV", "KB", "LICENSE", "MB",
    "MIT", "NASA", "NIST", "NOT", "NOTICE", "NVIDIA", "OK", "OR", "OS", "OWASP", "PC", "PDF", "PNG", "RAM", "README",
    "SMS", "SQL", "SSD", "TB", "TLS", "TV", "UC", "UK", "UN", "URL", "US", "USA", "USB", "UTF", "VI", "VII", "XML",
    "YAML", "ZIP",
];

/// American words and the British ones that we write.
const AMERICAN: &[(&str, &str)] = &[
    ("aluminum", "aluminium"),
    ("behavior", "behaviour"),
    ("behaviors", "behaviours"),
    ("canceled", "cancelled"),
    ("catalog", "catalogue"),
    ("catalogs", "catalogues"),
    ("center", "centre"),
    ("centered", "centred"),
    ("centers", "centres"),
    ("color", "colour"),
    ("colored", "coloured"),
    ("colors", "colours"),
    ("defense", "defence"),
    ("defenses", "defences"),
    ("enroll", "enrol"),
    ("favor", "favour"),
    ("favorite", "favourite"),
    ("favors", "favours"),
    ("fiber", "fibre"),
    ("flavor", "flavour"),
    ("flavors", "flavours"),
    ("fulfill", "fulfil"),
    ("gray", "grey"),
    ("harbor", "harbour"),
    ("honor", "honour"),
    ("labeled", "labelled"),
    ("labeling", "labelling"),
    ("labor", "labour"),
    ("modeled", "modelled"),
    ("modeling", "modelling"),
    ("neighbor", "neighbour"),
    ("neighboring", "neighbouring"),
    ("neighbors", "neighbours"),
    ("offense", "offence"),
    ("rumor", "rumour"),
    ("signaling", "signalling"),
    ("skeptical", "sceptical"),
    ("theater", "theatre"),
    ("traveled", "travelled"),
    ("unlabeled", "unlabelled"),
];
/// Words in -ize that are British too, and the one that we write as the field does.
const IZE: &[&str] = &["size", "prize", "seize", "capsize", "maize", "tokenize", "detokenize", "pretokenize"];
/// Words after which "license" is a noun, for which we write "licence".
const BEFORE_NOUN: &[&str] = &[
    "a", "an", "any", "each", "every", "its", "model", "my", "no", "of", "one", "open", "our", "own", "same", "that",
    "the", "their", "this", "under", "which", "whose", "with", "without", "your",
];

/// American spellings in a text, each with what we write. Words with a capital are names and stay as they are.
pub(super) fn american(text: &str) -> Vec<(String, String)> {
    let mut before = "";
    let mut found = Vec::new();
    for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        if let Some(british) = british(word, before) {
            found.push((word.to_owned(), british));
        }
        before = word;
    }
    found
}

fn british(word: &str, before: &str) -> Option<String> {
    if let Some((_, british)) = AMERICAN.iter().find(|(american, _)| *american == word) {
        return Some((*british).into());
    }
    if !word.bytes().all(|b| b.is_ascii_lowercase()) {
        return None;
    }
    let is_noun = BEFORE_NOUN.contains(&before.to_lowercase().as_str());
    if (word == "license" || word == "licenses") && is_noun {
        return Some(word.replace("license", "licence"));
    }
    for ending in ["e", "es", "ed", "ing", "er", "ers", "ation", "ations"] {
        let Some(stem) = word.strip_suffix(ending) else { continue };
        if let Some(root) = stem.strip_suffix("lyz").filter(|root| !root.is_empty()) {
            return Some(format!("{root}lys{ending}"));
        }
        let is_british = |known: &&str| format!("{stem}e").ends_with(*known);
        if let Some(root) = stem.strip_suffix("iz").filter(|root| root.len() >= 2)
            && !IZE.iter().any(is_british)
        {
            return Some(format!("{root}is{ending}"));
        }
    }
    None
}

/// Two capitals or more and nothing else, and not one that every reader knows.
pub(super) fn is_abbreviation(word: &str) -> bool {
    word.len() >= 2 && word.bytes().all(|b| b.is_ascii_uppercase()) && !KNOWN.contains(&word) && !NAMES.contains(&word)
}

/// The first fact that can change or be wrong: a year, a price, a percentage, a version. In a text that calculates, the
/// percentage is what comes out.
pub(super) fn stated_fact(text: &str) -> Option<String> {
    let words: Vec<&str> = text.split_whitespace().map(|word| word.trim_matches(|c| ",;:.()\"'".contains(c))).collect();
    let calculates = text.contains(['=', '×', '÷']);
    let begins_with_digit = |word: &str| word.starts_with(|c: char| c.is_ascii_digit());
    for (place, word) in words.iter().enumerate() {
        let next = words.get(place + 1).copied().unwrap_or_default();
        let is_year = word.len() == 4 && matches!(word.parse(), Ok(1950..2100));
        let is_price = word.strip_prefix(['$', '€', '£']).is_some_and(begins_with_digit);
        let is_share = begins_with_digit(word) && word.ends_with('%') && !calculates;
        if is_year || is_price || is_share {
            return Some((*word).to_owned());
        }
        let is_sum = ["dollars", "euros", "pounds", "cents", "percent"].contains(&next) && begins_with_digit(word);
        if is_sum || word.eq_ignore_ascii_case("version") && begins_with_digit(next) {
            return Some(format!("{word} {next}"));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn american_words_are_named_with_the_british_ones() {
        let found = american("The license of a colored catalog, optimized and analyzed by tokenizers of any size.");
        let words: Vec<(&str, &str)> = found.iter().map(|(word, british)| (word.as_str(), british.as_str())).collect();
        assert_eq!(
            words,
            [
                ("license", "licence"),
                ("colored", "coloured"),
                ("catalog", "catalogue"),
                ("optimized", "optimised"),
                ("analyzed", "analysed")
            ]
        );
    }

    #[test]
    fn names_and_verbs_are_left_alone() {
        for text in [
            "Meta licenses what it owns.",
            "You license your patents.",
            "the Llama Community License",
            "The Center for AI Safety",
            "It was resized, seized and prized.",
            "a downsized tokenizer",
        ] {
            assert_eq!(american(text), [], "{text}");
        }
    }

    #[test]
    fn years_prices_shares_and_versions_are_facts() {
        for (text, fact) in [
            ("released in March 2023.", Some("2023")),
            ("It costs $3 a month", Some("$3")),
            ("| € | Server |", None),
            ("2 × 20 = 40, so 40% of it", None),
            ("costs 20 dollars", Some("20 dollars")),
            ("takes 40% of it", Some("40%")),
            ("takes 40 percent of it", Some("40 percent")),
            ("since version 2.1 it is so", Some("version 2.1")),
            ("16 bits, 4096 tokens, 3 per second", None),
        ] {
            assert_eq!(stated_fact(text).as_deref(), fact, "{text}");
        }
    }

    #[test]
    fn capitals_are_an_abbreviation_unless_everybody_knows_it() {
        assert!(is_abbreviation("XYZ"));
        for word in ["AI", "A", "Llama", "BF16", "EU"] {
            assert!(!is_abbreviation(word), "{word}");
        }
    }
}

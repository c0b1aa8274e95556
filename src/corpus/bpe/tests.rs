use super::super::draw::Split;
use super::super::kinds::Kind;
use super::*;

fn corpus() -> Vec<String> {
    let of = |kind: Kind| (0..40).map(move |number| kind.document(11, Split::Train, number).text());
    Kind::ALL.into_iter().flat_map(of).collect()
}

#[test]
fn texts_are_cut_as_gpt_2_cuts_them() {
    let cut = |text| pieces(text).collect::<Vec<_>>();
    assert_eq!(cut("Kor's  kite, 12 (red)!"), ["Kor", "'s", " ", " kite", ",", " ", "1", "2", " (", "red", ")!"]);
    assert_eq!(cut("a\n b\n\nc \n"), ["a", "\n", " b", "\n", "\n", "c", " \n"]);
    assert_eq!(cut("é ½ naïve we'll 's"), ["é", " ", "½", " naïve", " we", "'ll", " '", "s"]);
    assert_eq!(cut(""), Vec::<&str>::new());
}

#[test]
fn the_same_texts_give_the_same_vocabulary_in_any_order() {
    let mut texts = corpus();
    let one = Bpe::train(texts.iter().map(String::as_str), 600);
    texts.reverse();
    let other = Bpe::train(texts.iter().map(String::as_str), 600);
    assert_eq!(one, other);
    assert_eq!(one.size(), 600);
    assert_eq!(Bpe::from_merges(&one.merge_list()), Ok(one));
}

#[test]
fn a_text_comes_back() {
    let bpe = Bpe::train(corpus().iter().map(String::as_str), 600);
    for text in ["<|im_start|>user\n Zoë's café cost 12 £<|im_end|>\n", "", "<|im", "\u{1f600}\t \n"] {
        assert_eq!(bpe.decode(&bpe.encode(text)), text);
    }
}

/// The trainer cuts span by span, the engine whole prompts: both must give the same tokens.
#[test]
fn spans_cut_apart_have_the_tokens_of_the_whole() {
    let bpe = Bpe::train(corpus().iter().map(String::as_str), 1_024);
    for kind in Kind::ALL {
        for number in 0..100 {
            let document = kind.document(12, Split::Held, number);
            assert_eq!(bpe.encode_document(&document).ids, bpe.encode(&document.text()), "{}", document.show());
        }
    }
}

/// Copying is learnt from tokens: an answer that is copied must be a token string of the prompt.
#[test]
fn copied_words_keep_their_tokens() {
    let bpe = Bpe::train(corpus().iter().map(String::as_str), 1_024);
    for kind in [Kind::Copy, Kind::Repeat, Kind::LookUp, Kind::Reading, Kind::Fact] {
        let (mut same, mut all) = (0, 0);
        for number in 0..300 {
            let document = kind.document(13, Split::Held, number);
            for question in document.questions().iter().filter(|q| !q.answer.starts_with("The text")) {
                let bare = question.answer.trim_start_matches("an ").trim_start_matches("a ");
                let (prompt, answer) = (bpe.encode(&question.prompt), bpe.encode(&format!(" {bare}")));
                all += 1;
                same += usize::from(prompt.windows(answer.len()).any(|window| window == answer));
            }
        }
        assert_eq!(same, all, "{}: {same} of {all}", kind.name());
    }
}

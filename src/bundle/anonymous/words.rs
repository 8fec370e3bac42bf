//! Words of which names are made: which of them everybody uses, and what stands for the others.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};

use super::split::stem;
use crate::text::near::is_slip;

/// The words of kdoctor's code: what it looks for stays, so that it is found again.
const CODE: &str = include_str!(concat!(env!("OUT_DIR"), "/words_of_the_code.txt"));
/// Words of the field.
const FIELD: &str = include_str!("field.txt");
/// Of these Kubernetes makes the ends of names.
const RANDOM: &str = "bcdfghjklmnpqrstvwxz2456789";
/// Letters of a word that stands for another.
const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz";
/// Of more words none is compared with all others.
const COMPARED: usize = 5000;

/// The words that everybody uses.
pub(super) struct Public {
    pub(super) words: HashSet<&'static str>,
}

impl Public {
    pub(super) fn new() -> Self {
        Self { words: CODE.split_whitespace().chain(FIELD.split_whitespace()).collect() }
    }

    /// True of a word that tells nobody anything: numbers, the ends that Kubernetes makes, words of the field.
    pub(super) fn holds(&self, word: &str) -> bool {
        let stem = stem(word);
        let is_random = matches!(word.len(), 5 | 8..=10) && word.chars().all(|c| RANDOM.contains(c));
        // Digests and parts of UIDs; of 32 digits load balancers of Services are named, which everybody can look up.
        let is_digest = word.len() > 7 && word.len() != 32 && word.bytes().all(|b| b.is_ascii_hexdigit());
        let is_random = is_random || (is_digest && word.bytes().any(|b| b.is_ascii_digit()));
        let letters = stem.chars().filter(|c| c.is_alphabetic()).count();
        letters < 3 || is_random || self.is_one(&stem)
    }

    /// The same, or what is meant for a word of the field. Of what somebody is called that is not said: names are often
    /// one letter off a word.
    pub(super) fn holds_or_means(&self, word: &str) -> bool {
        let stem = stem(word);
        let is_meant = || self.words.iter().any(|known| known.len() > 5 && is_slip(known, &stem, 1));
        self.holds(word) || (stem.len() > 5 && is_meant())
    }

    fn is_one(&self, stem: &str) -> bool {
        let is_plural = || stem.strip_suffix('s').is_some_and(|one| one.len() > 3 && self.words.contains(one));
        self.words.contains(stem) || is_plural()
    }
}

/// What stands for each of some words. What begins like another one, or is a slip of it, stays so.
pub(super) fn replaced(words: &BTreeSet<String>, public: &Public) -> HashMap<String, String> {
    let compares = words.len() <= COMPARED;
    let mut made = Made { key: RandomState::new(), compares, all: HashMap::new(), used: HashSet::new() };
    // The shorter first: others begin with them.
    let mut sorted: Vec<&String> = words.iter().collect();
    sorted.sort_by_key(|word| word.len());
    for word in sorted {
        let new = made.like_another(word).unwrap_or_else(|| made.new_word(word, public));
        made.used.insert(new.clone());
        made.all.insert(word.clone(), new);
    }
    made.all
}

struct Made {
    key: RandomState,
    /// There are few enough to compare each with all others.
    compares: bool,
    all: HashMap<String, String>,
    used: HashSet<String>,
}

impl Made {
    fn like_another(&self, word: &str) -> Option<String> {
        let ends = (4..word.len()).rev().filter(|end| word.is_char_boundary(*end));
        let begin = ends.map(|end| word.split_at(end)).find_map(|(begin, end)| Some((self.all.get(begin)?, end)));
        if let Some((begin, end)) = begin {
            let end = if end == "s" { end.to_owned() } else { self.letters(word, 0, end.len().min(4)) };
            return Some(format!("{begin}{end}")).filter(|new| !self.used.contains(new));
        }
        if word.len() < 5 || !self.compares {
            return None;
        }
        let meant = self.all.iter().filter(|(known, _)| known.len() > 4 && is_slip(known, word, 1)).min()?.1;
        // The fourth letter is another.
        let slip = |letter: &u8| format!("{}{}{}", &meant[..3], char::from(*letter), &meant[4..]);
        LETTERS.iter().map(slip).find(|new| !self.used.contains(new))
    }

    /// `kytv`, `mydrskl`: no word of a language, and none that Kubernetes makes. Long ones differ from each other in
    /// more letters than a slip does.
    fn new_word(&self, word: &str, public: &Public) -> String {
        let length = if word.len() < 5 { 4 } else { 7 };
        let mut tried = (0..).map(|attempt| {
            let letters = self.letters(word, attempt, length - 1);
            format!("{}y{}", &letters[..1], &letters[1..])
        });
        let is_free = |new: &String| {
            let near = |known: &&String| known.bytes().zip(new.bytes()).filter(|(a, b)| a != b).count() < 3;
            !public.words.contains(new.as_str())
                && !self.used.contains(new)
                && (length < 7 || !self.compares || !self.used.iter().any(|known| near(&known)))
        };
        tried.by_ref().take(1000).find(is_free).unwrap_or_else(|| format!("yyyyy{}", self.used.len()))
    }

    fn letters(&self, word: &str, attempt: u32, count: usize) -> String {
        let mut number = self.key.hash_one((word, attempt));
        let mut next = || {
            let letter = LETTERS[(number % 20) as usize];
            number /= 20;
            char::from(letter)
        };
        (0..count).map(|_| next()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_resembled_another_still_does() {
        let words = ["fabrikam", "fabrikan", "fabrikams", "slackops", "slackopsteam", "cart", "dart"];
        let public = Public::new();
        let replaced = replaced(&words.iter().map(|word| (*word).to_owned()).collect(), &public);
        let of = |word: &str| replaced[word].as_str();
        assert!(is_slip(of("fabrikam"), of("fabrikan"), 1));
        assert_eq!(of("fabrikams"), format!("{}s", of("fabrikam")));
        assert!(of("slackopsteam").starts_with(of("slackops")));
        assert!(!is_slip(of("fabrikam"), of("slackops"), 1) && of("cart") != of("dart"));
        let different: HashSet<&String> = replaced.values().collect();
        assert_eq!(different.len(), words.len());
    }

    #[test]
    fn words_of_the_field_and_slips_of_them_are_public() {
        let public = Public::new();
        for word in ["prometheus", "grafanas", "gp3", "v1beta1", "x2x4z", "7d5f8c6b9d", "web", "db", "2048"] {
            assert!(public.holds(word), "{word}");
        }
        for word in ["initech", "fabrikam", "fabrikam2", "paymnt"] {
            assert!(!public.holds_or_means(word), "{word}");
        }
        assert!(public.holds_or_means("promethues") && !public.holds("promethues"));
    }

    #[test]
    fn many_words_are_not_compared_with_each_other() {
        let letter = |n: usize| char::from(b'a' + u8::try_from(n % 26).unwrap_or_default());
        let word = |n: usize| format!("q{}{}{}zz{}q", letter(n), letter(n / 26), letter(n / 676), letter(n / 7));
        let words: BTreeSet<String> = (0..COMPARED + 1000).map(word).collect();
        let replaced = replaced(&words, &Public::new());
        let different: HashSet<&String> = replaced.values().collect();
        assert_eq!(different.len(), words.len());
    }
}

//! Metrics that a program tells of itself, in the text format.

use std::collections::BTreeMap;

use super::Api;
use crate::model::{Gap, GapCause};
use crate::snapshot::monitoring::Sample;

pub(super) async fn metrics(api: &Api<'_>) -> Result<Vec<Sample>, Gap> {
    let text = api.text("/metrics").await?;
    let samples = parse_exposition(&text);
    if samples.is_empty() {
        return Err(Gap::new(api.request("/metrics", "").label(), GapCause::BadAnswer, "the answer holds no metric"));
    }
    Ok(samples)
}

/// Reads the samples of a text exposition; lines that are none are skipped.
fn parse_exposition(text: &str) -> Vec<Sample> {
    text.lines().filter(|l| !l.starts_with('#')).filter_map(parse_sample).collect()
}

fn parse_sample(line: &str) -> Option<Sample> {
    let (name, rest) = match line.find('{') {
        Some(brace) if !line[..brace].contains(' ') => (&line[..brace], &line[brace..]),
        _ => {
            let (name, value) = line.split_once(' ')?;
            let value = value.split_whitespace().next()?.parse().ok()?;
            return Some(Sample { name: name.to_owned(), labels: BTreeMap::new(), value });
        }
    };
    let (labels, rest) = parse_labels(rest.strip_prefix('{')?)?;
    let value = rest.split_whitespace().next()?.parse().ok()?;
    Some(Sample { name: name.to_owned(), labels, value })
}

/// Reads `a="x",b="y"} rest` with the format's escapes.
fn parse_labels(mut text: &str) -> Option<(BTreeMap<String, String>, &str)> {
    let mut labels = BTreeMap::new();
    loop {
        text = text.trim_start_matches([',', ' ']);
        if let Some(rest) = text.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (name, rest) = text.split_once("=\"")?;
        let mut value = String::new();
        let mut letters = rest.char_indices();
        loop {
            let (at, letter) = letters.next()?;
            match letter {
                '"' => {
                    text = &rest[at + 1..];
                    break;
                }
                '\\' => match letters.next()?.1 {
                    'n' => value.push('\n'),
                    other => value.push(other),
                },
                other => value.push(other),
            }
        }
        labels.insert(name.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_labels_with_escapes_and_timestamps() {
        let text = "# HELP a b\na{x=\"1\",y=\"q\\\"}{ \\n\"} 3 1700000000\nplain 2e3\nbroken{\nnot a sample at all\n";
        let samples = parse_exposition(text);
        assert_eq!(samples.len(), 2, "{samples:?}");
        assert_eq!(samples[0].labels["y"], "q\"}{ \n");
        assert_eq!((samples[0].value, samples[1].value), (3.0, 2000.0));
    }
}

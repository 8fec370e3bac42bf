//! The report as one HTML file that asks nothing of the outside: for a ticket, a postmortem, a CI artifact.

mod graph;
mod page;

use std::sync::OnceLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment};
use sha2::{Digest, Sha256};

use super::view::View;
use crate::history::Changes;
use crate::model::Report;
use crate::term::sanitize_lines;
use page::Page;

const TEMPLATE: &str = include_str!("page.html");
const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// The report as a page, with what changed since another one. `verbose`: all evidence, every name.
///
/// # Errors
/// Never in practice: the template is part of the program.
pub fn html(report: &Report, changes: Option<&Changes>, verbose: bool) -> Result<String, minijinja::Error> {
    let page = Page::of(View { report, verbose }, changes);
    let text = engine().get_template("page.html")?.render(minijinja::context! {
        page => Serde(page),
        style => STYLE,
        script => SCRIPT,
        policy => policy(),
        version => env!("CARGO_PKG_VERSION"),
    })?;
    // What a viewer would obey is shown instead, as on a terminal.
    Ok(format!("{}\n", sanitize_lines(&text)))
}

fn engine() -> &'static Environment<'static> {
    static ENGINE: OnceLock<Environment<'static>> = OnceLock::new();
    ENGINE.get_or_init(|| {
        let mut engine = Environment::new();
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        engine.set_syntax(syntax.expect("the default delimiters are valid"));
        // Whatever a cluster said stays text.
        engine.set_auto_escape_callback(|_| AutoEscape::Html);
        engine.add_template("page.html", TEMPLATE).expect("the template is part of the program, and tested");
        engine
    })
}

/// The page may run its own style and script, and load nothing.
fn policy() -> String {
    let hash = |text: &str| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text.as_bytes())));
    format!(
        "default-src 'none'; style-src {}; script-src {}; base-uri 'none'; form-action 'none'",
        hash(STYLE),
        hash(SCRIPT)
    )
}

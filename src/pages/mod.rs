//! The pages of the checks: what people read of a check, and the templates of its fixes.

mod calls;
mod explain;
mod fill;
mod invocation;
mod outline;
mod parse;
mod placeholders;
mod render;
mod said;
mod shell;
mod template;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use include_dir::{Dir, include_dir};

use crate::model::{CheckMeta, Finding, Params, Remediation};

pub use calls::{Call, calls, writes_files};
pub use explain::readable;
pub use fill::{Language, fill, forms, judge, names, wanted};
pub use invocation::{Invocation, apply, in_context};
pub use parse::Page;
pub use render::command;
pub(crate) use template::quote_shell;

/// One word of the shell, whatever it holds.
pub fn quoted(value: &str) -> String {
    template::quote_shell(value)
}

/// `checks/`, as embedded.
static PAGES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/checks");
/// The folder of the steps that several pages include by name.
const SHARED: &str = "_shared";

/// The page of a check, taken apart. Each is when it is first asked for: a run needs a few of them.
///
/// # Errors
/// There is no page, or it includes what is not there: a bug of the check.
pub fn of(meta: &CheckMeta) -> Result<&'static Page, String> {
    static PARSED: OnceLock<BTreeMap<String, OnceLock<Result<Page, String>>>> = OnceLock::new();
    let parsed = PARSED.get_or_init(|| embedded().map(|name| (name, OnceLock::new())).collect());
    let name = format!("{}/{}", meta.suite, meta.id.0.replace('-', "_"));
    let Some(page) = parsed.get(&name) else {
        return Err(format!("there is no page checks/{name}.md and no folder checks/{name}/"));
    };
    page.get_or_init(|| load(&name)).as_ref().map_err(|error| format!("checks/{name}: {error}"))
}

/// Every page as `suite/check_id`.
fn embedded() -> impl Iterator<Item = String> {
    let suites = PAGES.dirs().filter(|d| d.path().as_os_str() != SHARED);
    suites.flat_map(Dir::entries).map(|entry| entry.path().with_extension("").to_string_lossy().into_owned())
}

/// Takes a page apart: a file of that name, or a folder with `page.md` and one file for each fix.
fn load(name: &str) -> Result<Page, String> {
    let Some(folder) = PAGES.get_dir(name) else {
        let page = PAGES.get_file(format!("{name}.md")).map(text).unwrap_or_default();
        return Page::load(page, &[], shared);
    };
    let mut fixes = Vec::new();
    let mut page = "";
    for file in folder.files() {
        match file.path().file_stem().and_then(|s| s.to_str()).unwrap_or_default() {
            "page" => page = text(file),
            variant => fixes.push((variant, text(file))),
        }
    }
    fixes.sort_unstable();
    Page::load(page, &fixes, shared)
}

fn text(file: &'static include_dir::File<'static>) -> &'static str {
    file.contents_utf8().unwrap_or_default()
}

fn shared(name: &str) -> Option<&'static str> {
    PAGES.get_file(format!("{SHARED}/{name}.md")).map(text)
}

/// The fix of a check: one variant of its page with these values.
///
/// # Errors
/// What is wrong with the page or the values: a bug of the check.
pub fn fix(meta: &CheckMeta, variant: &str, params: &Params) -> Result<Remediation, String> {
    of(meta)?.remediation(meta.id, variant, params)
}

/// Renders a finding's fix and the commands of its evidence.
///
/// # Errors
/// What is wrong with the page or the values: a bug of the check.
pub fn finish(meta: &CheckMeta, finding: &mut Finding) -> Result<(), String> {
    finding.remediation = fix(meta, finding.variant, &finding.params)?;
    for evidence in &mut finding.evidence {
        evidence.reproduce = render::command(evidence.reproduce_template, &evidence.params)?;
    }
    said::once(finding);
    Ok(())
}

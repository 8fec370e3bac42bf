//! `kdoctor explain`: a check's page in the terminal.

use anyhow::bail;
use termimad::MadSkin;
use termimad::crossterm::style::{Attribute, Color};

use crate::checks;
use crate::cli::Explain;
use crate::model::CheckMeta;
use crate::pages;
use crate::term::{Printer, addresses, linked, suggest};

/// Prints the page.
///
/// # Errors
/// There is no such check, or stdout cannot be written.
pub(super) fn run(args: &Explain, printer: &Printer) -> anyhow::Result<u8> {
    let Some(check) = checks::find(&args.check) else {
        let ids: Vec<&str> = checks::registry().iter().map(|c| c.meta().id.0).collect();
        match suggest(&args.check, ids) {
            Some(near) => bail!("there is no check {:?}; did you mean {near:?}?", args.check),
            None => bail!("there is no check {:?}; kdoctor list shows all", args.check),
        }
    };
    printer.stdout(&page(check.meta(), printer)?)?;
    Ok(0)
}

/// A page, laid out for the printer.
///
/// # Errors
/// The check has none.
pub(super) fn page(meta: &CheckMeta, printer: &Printer) -> anyhow::Result<String> {
    let page = pages::of(meta).map_err(anyhow::Error::msg)?;
    let facts = |list: &[crate::model::Fact]| list.iter().map(|f| f.as_str()).collect::<Vec<_>>().join(", ");
    let head = format!(
        "# {}\n\n{} · {} · {}\n\nneeds: {}\n",
        meta.title,
        meta.id,
        meta.suite,
        meta.severity,
        facts(meta.requires)
    );
    let text = format!("{head}{}", pages::readable(page));
    let skin = skin(printer.color);
    let shown = match printer.width {
        Some(width) => skin.text(&text, Some(width)).to_string(),
        // A file or a pipe gets the Markdown itself.
        None => text.clone(),
    };
    let shown = if printer.has_links() { linked(&shown, &addresses(&text)) } else { shown };
    Ok(shown.lines().map(|l| format!("{}\n", l.trim_end())).collect())
}

fn skin(color: bool) -> MadSkin {
    if !color {
        return MadSkin::no_style();
    }
    let mut skin = MadSkin::default();
    for header in &mut skin.headers {
        header.align = termimad::Alignment::Left;
        header.compound_style.set_fg(Color::Cyan);
        header.compound_style.add_attr(Attribute::Bold);
    }
    skin.code_block.set_fgbg(Color::Green, Color::Reset);
    skin.inline_code.set_fgbg(Color::Green, Color::Reset);
    skin
}

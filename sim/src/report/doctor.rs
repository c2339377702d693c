//! The report of `sim doctor`: every fact comes from [`Diagnosis`].

use crate::{
    doctor::{Diagnosis, Finding, Health},
    layout,
};

/// Columns before what is said.
const INDENT: usize = 14;

/// The whole report.
pub fn text(diagnosis: &Diagnosis) -> String {
    let mut out = format!("sim {}\n\n", diagnosis.version);
    for finding in &diagnosis.findings {
        out.push_str(&one(finding));
    }
    let broken = diagnosis.findings.iter().filter(|finding| finding.health == Health::Broken).count();
    let missing = diagnosis.findings.iter().filter(|finding| finding.health == Health::Missing).count();
    out.push_str(&match (broken, missing) {
        (0, 0) => "\nNothing is missing.\n".to_owned(),
        (0, missing) => format!("\nNothing is broken; {missing} of these are missing, which matters only to what they are for.\n"),
        (broken, _) => format!("\n{broken} of these are broken, see `BROKEN` above.\n"),
    });
    layout::folded(&out, Some(layout::of_sentences()))
}

fn one(finding: &Finding) -> String {
    let Finding { name, health, found, enables, advice } = finding;
    let state = match health {
        Health::Ok => "",
        Health::Missing => "missing: ",
        Health::Broken => "BROKEN: ",
    };
    let gap = " ".repeat(INDENT);
    let advice = advice.as_ref().map_or_else(String::new, |advice| format!("{gap}  to have it: {advice}\n"));
    format!("{name:<INDENT$}  {state}{found}\n{gap}  for: {enables}\n{advice}")
}

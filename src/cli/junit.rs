//! Results of cases as JUnit's XML, which every CI reads. It says the same as the table.

use std::fmt::Write as _;

use crate::output::text::steers;
use crate::suppose::cases::Tried;

/// The whole report: one suite per file.
pub fn report(tried: &[Tried<'_>]) -> String {
    let failures = tried.iter().filter(|tried| !tried.passed()).count();
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    // Writing to a string cannot fail.
    let _ = writeln!(
        xml,
        "<testsuites name=\"gateward policy test\" tests=\"{}\" failures=\"{failures}\">",
        tried.len()
    );
    for suite in tried.chunk_by(|one, other| one.at.file() == other.at.file()) {
        let Some(first) = suite.first() else { continue };
        let name = first.at.file().display().to_string();
        let failures = suite.iter().filter(|tried| !tried.passed()).count();
        let _ = writeln!(
            xml,
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{failures}\">",
            escaped(&name),
            suite.len()
        );
        for tried in suite {
            case(tried, &name, &mut xml);
        }
        xml.push_str("  </testsuite>\n");
    }
    xml.push_str("</testsuites>\n");
    xml
}

fn case(tried: &Tried<'_>, file: &str, xml: &mut String) {
    let _ = write!(
        xml,
        "    <testcase classname=\"{}\" name=\"{}\" file=\"{}\" line=\"{}\"",
        escaped(file),
        escaped(tried.name()),
        escaped(file),
        tried.at.line
    );
    if tried.passed() {
        xml.push_str("/>\n");
        return;
    }
    let message = format!("expected {}, found {}", tried.expected(), tried.found());
    let _ = writeln!(
        xml,
        ">\n      <failure message=\"{}\">{}</failure>\n    </testcase>",
        escaped(&message),
        escaped(&format!("{}\n{}", tried.line, tried.found.why))
    );
}

/// XML cannot hold control characters, not even escaped; neither should a report steer a
/// terminal.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            '\u{fffe}' | '\u{ffff}' => out.push(char::REPLACEMENT_CHARACTER),
            c if steers(c) => out.push(char::REPLACEMENT_CHARACTER),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn what_xml_cannot_hold_is_replaced() {
        assert_eq!(
            escaped("a<b>&\"c\"\n\u{1b}[2J\u{0}\u{202e}\u{ffff}é"),
            "a&lt;b&gt;&amp;&quot;c&quot;&#10;\u{fffd}[2J\u{fffd}\u{fffd}\u{fffd}é"
        );
    }
}

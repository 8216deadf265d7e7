//! The formats of JSON Schema that are kept to, as patterns: RFC 3339 for times, 5321 for mail, 1123 for hosts, 4291 and 5954
//! for addresses, 4122 for UUIDs, 3986 for URIs.

/// A regular expression for the whole text; nothing where the format is not kept to.
pub fn pattern(format: &str) -> Option<String> {
    match format {
        "date" => Some(date()),
        "time" => Some(time()),
        "date-time" => Some(format!("{}T{}", date(), time())),
        "duration" => Some(duration()),
        "email" => Some(email()),
        "hostname" => Some(hostname()),
        "ipv4" => Some(ipv4()),
        "ipv6" => Some(ipv6()),
        "uuid" => Some(format!("{h}{{8}}-(?:{h}{{4}}-){{3}}{h}{{12}}", h = HEX)),
        "uri" => Some(uri()),
        _ => None,
    }
}

const HEX: &str = "[0-9a-fA-F]";

/// Days that are there, leap years and all.
fn date() -> String {
    let year = "(?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])";
    let fourth = "(?:0[48]|[2468][048]|[13579][26])";
    let leap_year = format!("(?:[0-9]{{2}}{fourth}|{fourth}00)");
    let days = [
        format!("{year}-(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"),
        format!("{year}-(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"),
        format!("{year}-02-(?:0[1-9]|1[0-9]|2[0-8])"),
        format!("{leap_year}-02-29"),
    ];
    format!("(?:{})", days.join("|"))
}

fn time() -> String {
    let clock = "(?:[01][0-9]|2[0-3]):[0-5][0-9]";
    format!(r"{clock}:[0-5][0-9](?:\.[0-9]{{1,6}})?(?:Z|[+-]{clock})")
}

/// Units that follow one another without a gap, as the RFC's grammar has them.
fn duration() -> String {
    let number = "[0-9]{1,9}";
    let time =
        format!("T(?:{number}H(?:{number}M(?:{number}S)?)?|{number}M(?:{number}S)?|{number}S)");
    let date =
        format!("(?:{number}Y(?:{number}M(?:{number}D)?)?|{number}M(?:{number}D)?|{number}D)");
    format!("P(?:{date}(?:{time})?|{time}|{number}W)")
}

/// Without limits of length, which cost time to count.
fn email() -> String {
    let atom = "[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]+";
    let label = "[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?";
    format!(r"{atom}(?:\.{atom})*@{label}(?:\.{label})*")
}

fn hostname() -> String {
    let label = "[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?";
    format!(r"{label}(?:\.{label}){{0,3}}")
}

fn ipv4() -> String {
    let byte = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
    format!(r"(?:{byte}\.){{3}}{byte}")
}

/// Eight groups, or fewer around one "::".
fn ipv6() -> String {
    let group = format!("{HEX}{{1,4}}");
    let mut forms = vec![format!("(?:{group}:){{7}}{group}"), format!("(?:{group}:){{1,7}}:")];
    for before in 1..=6 {
        forms.push(format!("(?:{group}:){{{before}}}(?::{group}){{1,{}}}", 7 - before));
    }
    forms.push(format!(":(?::{group}){{1,7}}|::"));
    format!("(?:{})", forms.join("|"))
}

fn uri() -> String {
    let escaped = format!("%{HEX}{{2}}");
    let character = format!("(?:[a-zA-Z0-9._~!$&'()*+,;=:@-]|{escaped})");
    let segments = format!("(?:/{character}*)*");
    let authority = format!(r"(?:[a-zA-Z0-9._~!$&'()*+,;=-]|{escaped})*(?::[0-9]{{0,5}})?");
    let tail = format!("(?:{character}|[/?])*");
    format!(
        r"[a-zA-Z][a-zA-Z0-9+.-]*:(?://{authority}{segments}|/(?:{character}+{segments})?|{character}+{segments})(?:\?{tail})?(?:#{tail})?"
    )
}

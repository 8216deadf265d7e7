//! Numbers of JSON documents as template values: Python's integers have no end, and what is beyond a double keeps its digits.

use std::fmt;
use std::sync::Arc;

use minijinja::value::{Object, ObjectRepr};
use minijinja::Value;
use serde_json::Number;

use crate::template::python::float_repr;

/// A number that no arithmetic type holds to the last digit, as it was written. Templates can only print it.
pub struct Digits(String);

impl fmt::Debug for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Object for Digits {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn is_true(self: &Arc<Self>) -> bool {
        let mantissa = self.0.split('e').next().unwrap_or_default();
        mantissa.contains(|c| ('1'..='9').contains(&c))
    }
}

/// The digits of a value that is such a number.
pub fn digits(value: &Value) -> Option<&str> {
    value.downcast_object_ref::<Digits>().map(|digits| digits.0.as_str())
}

pub fn to_value(number: &Number) -> Value {
    let text = number.as_str();
    if let Ok(integer) = text.parse::<i128>() {
        return match i64::try_from(integer) {
            Ok(integer) => Value::from(integer),
            Err(_) => Value::from(integer),
        };
    }
    match text.parse::<f64>() {
        Ok(float) if is_held(text, float) => Value::from(float),
        // serde_json writes a plus that was most likely not there.
        _ => Value::from_object(Digits(text.replace("e+", "e"))),
    }
}

/// Whether the float reads as the text does, though it may be written otherwise. Integers are written out.
fn is_held(text: &str, float: f64) -> bool {
    let is_integer = !text.contains(['.', 'e', 'E']);
    !is_integer && float.is_finite() && decimal(text) == decimal(&float_repr(float))
}

/// The significant digits, and the power of ten of the last of them. None for an exponent beyond all use.
fn decimal(text: &str) -> Option<(String, i64)> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{}{fraction}", whole.trim_start_matches('-'));
    let significant = digits.trim_end_matches('0');
    let dropped = (digits.len() - significant.len()) as i64;
    let power = exponent.parse::<i64>().ok()?.checked_add(dropped - fraction.len() as i64)?;
    let significant = significant.trim_start_matches('0').to_string();
    let power = if significant.is_empty() { 0 } else { power };
    Some((significant, power))
}

#[cfg(test)]
mod tests {
    use crate::template::json::to_value;
    use crate::template::python::python_str;

    fn printed(text: &str) -> String {
        python_str(&to_value(serde_json::from_str(text).unwrap()))
    }

    #[test]
    fn what_a_double_holds_prints_as_python_prints_it() {
        for (text, python) in [
            ("1.50", "1.5"),
            ("1E5", "100000.0"),
            ("1e-400", "1e-400"),
            ("0.1", "0.1"),
            ("-0.0", "-0.0"),
            ("0e99999999999999999999", "0e99999999999999999999"),
            ("1e16", "1e+16"),
            ("100000000000000000000.0", "1e+20"),
            ("9007199254740993", "9007199254740993"),
        ] {
            assert_eq!(printed(text), python, "{text}");
        }
    }

    #[test]
    fn what_is_beyond_keeps_its_digits() {
        for text in [
            "18446744073709551616",
            "-170141183460469231731687303715884105729",
            "123456789012345678901234567890123456789012345678901234567890",
            "1e400",
            "-1e99999999999",
            "0.1000000000000000055511151231257827",
            "3.14159265358979323846264338327950288",
        ] {
            assert_eq!(printed(text), text);
            assert_eq!(printed(&format!("[{text}]")), format!("[{text}]"));
        }
    }

    #[test]
    fn digits_that_are_not_nought_are_true() {
        assert!(to_value(serde_json::from_str("1e400").unwrap()).is_true());
        assert!(!to_value(serde_json::from_str("0e99999999999999999999").unwrap()).is_true());
    }
}

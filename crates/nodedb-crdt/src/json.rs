//! The value of a document as JSON text.

use loro::LoroValue;
use std::collections::BTreeMap;

/// Compact text with members in the order of their names' bytes. Binary values are lists of numbers;
/// NaN and infinities, which JSON lacks, are null.
pub(crate) fn to_json(value: &LoroValue) -> String {
    let mut out = String::new();
    write(&mut out, value);
    out
}

fn write(out: &mut String, value: &LoroValue) {
    match value {
        LoroValue::Null => out.push_str("null"),
        LoroValue::Bool(true) => out.push_str("true"),
        LoroValue::Bool(false) => out.push_str("false"),
        LoroValue::Double(number) => {
            let number = serde_json::Number::from_f64(*number);
            out.push_str(&number.map_or_else(|| "null".to_owned(), |number| number.to_string()));
        }
        LoroValue::I64(number) => out.push_str(&number.to_string()),
        LoroValue::Binary(bytes) => {
            write_list(out, bytes.iter(), |out, byte| {
                out.push_str(&byte.to_string());
            });
        }
        LoroValue::String(text) => write_text(out, text),
        LoroValue::List(items) => write_list(out, items.iter(), write),
        LoroValue::Map(members) => {
            let members: BTreeMap<&str, _> = members.iter().map(|(k, v)| (&**k, v)).collect();
            out.push('{');
            for (place, (name, value)) in members.into_iter().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                write_text(out, name);
                out.push(':');
                write(out, value);
            }
            out.push('}');
        }
        LoroValue::Container(id) => write_text(out, &id.to_string()),
    }
}

fn write_list<T>(out: &mut String, items: impl Iterator<Item = T>, write: impl Fn(&mut String, T)) {
    out.push('[');
    for (place, item) in items.enumerate() {
        if place > 0 {
            out.push(',');
        }
        write(out, item);
    }
    out.push(']');
}

fn write_text(out: &mut String, text: &str) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

#[cfg(test)]
mod tests {
    use super::*;
    use loro::loro_value;

    #[test]
    fn members_are_ordered_and_what_json_lacks_is_null() {
        let value = loro_value!({"b": [1, 2.5, true], "a": {"z": null, "y": "q\"\n"}});
        assert_eq!(to_json(&value), r#"{"a":{"y":"q\"\n","z":null},"b":[1,2.5,true]}"#);
        assert_eq!(to_json(&LoroValue::Double(f64::NAN)), "null");
        assert_eq!(to_json(&LoroValue::from(vec![0_u8, 255])), "[0,255]");
    }
}

//! Lower-case hexadecimal, for ids and object keys.

use std::fmt::Write;

/// Two lower-case digits per byte.
pub fn to_hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        write!(text, "{byte:02x}").expect_infallible();
    }
    text
}

/// The bytes of an even number of lower-case digits, or `None` for anything else.
pub fn from_hex(text: &str) -> Option<Vec<u8>> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
        return None;
    };
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

trait Infallible {
    fn expect_infallible(self);
}

impl Infallible for std::fmt::Result {
    #[expect(clippy::expect_used, reason = "writing into a String cannot fail")]
    fn expect_infallible(self) {
        self.expect("writing into a String cannot fail");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_refusals() {
        assert_eq!(to_hex(&[0, 0x1f, 0xff]), "001fff");
        assert_eq!(from_hex("001fff"), Some(vec![0, 0x1f, 0xff]));
        for bad in ["0", "0G", "FF", "+1"] {
            assert_eq!(from_hex(bad), None, "{bad}");
        }
    }
}

//! Export of JSON lines.

use crate::{Collection, Error, ScanOptions};
use nodedb_engine::CollectionKind;
use nodedb_types::to_hex;
use serde_json::Value;
use std::io::Write;

impl Collection {
    /// Writes all documents as JSON lines `{"key": .., "value": ..}` in key order, all at one
    /// snapshot. A key that is not UTF-8 is written in hexadecimal, as is a value of raw bytes.
    ///
    /// # Errors
    /// As [`Collection::scan`]; [`Error::Io`] of the output.
    pub fn export(&self, output: &mut impl Write) -> Result<u64, Error> {
        let mut count = 0;
        for document in self.scan(ScanOptions::default())? {
            let document = document?;
            let key = match str::from_utf8(&document.key) {
                Ok(text) => Value::from(text),
                Err(_) => Value::from(to_hex(&document.key)),
            };
            let failed = Error::io("writing", "the export");
            let raw = self.kind() == CollectionKind::Bytes;
            let value = if raw { quoted(&document.value) } else { document.value };
            let written = write!(output, "{{\"key\":{key},\"value\":")
                .and_then(|()| output.write_all(&value))
                .and_then(|()| output.write_all(b"}\n"));
            written.map_err(failed)?;
            count += 1;
        }
        Ok(count)
    }
}

fn quoted(bytes: &[u8]) -> bytes::Bytes {
    let value = match str::from_utf8(bytes) {
        Ok(text) => Value::from(text),
        Err(_) => Value::from(to_hex(bytes)),
    };
    value.to_string().into()
}

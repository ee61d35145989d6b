//! How filters are answered.

use crate::{Collection, Error, Pending};
use nodedb_data::{Op, Outcome};
use nodedb_document::{Filter, plan::Explain};
use std::sync::Arc;

impl Collection {
    /// How a filter of a scan is answered now: by which index, or by looking at every document. Each vshard
    /// decides by the entries that it has; each different plan is answered once.
    ///
    /// # Errors
    /// [`Error::Document`] for a filter that cannot be read, [`Error::Data`].
    pub fn explain(&self, filter: &str) -> Result<Vec<Explain>, Error> {
        let filter = Arc::new(Filter::parse(filter)?);
        self.inner().patiently(|| self.explain_once(&filter))
    }

    fn explain_once(&self, filter: &Arc<Filter>) -> Result<Vec<Explain>, Error> {
        let collection = self.definition.id;
        let asked: Vec<Pending<Explain>> = self
            .vshards()
            .map(|vshard| {
                let op = Op::Explain { collection, filter: Arc::clone(filter) };
                self.send(vshard, op, |outcome| {
                    let Outcome::Explained(explain) = outcome else {
                        return Err(Error::mismatched("explanation"));
                    };
                    Ok(explain)
                })
            })
            .collect::<Result<_, _>>()?;
        let mut plans: Vec<Explain> = Vec::new();
        for pending in asked {
            let plan = pending.wait()?;
            if !plans.contains(&plan) {
                plans.push(plan);
            }
        }
        Ok(plans)
    }
}

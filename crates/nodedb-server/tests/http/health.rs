//! Health, metrics, status.

use crate::client::Served;
use nodedb::NewCollection;

#[test]
fn a_sound_database_is_healthy_and_a_closed_one_is_not() {
    let served = Served::new();
    let answer = served.get("/healthz").ok();
    assert_eq!(answer["health"], "Ok");
    assert_eq!(answer["reasons"], serde_json::json!([]));
    served.database.close().expect("it closes");
    served.get("/healthz").refused(503, "Closed");
    served.get("/metrics").refused(503, "Closed");
}

#[test]
fn status_has_the_positions_and_every_vshard() {
    let served = Served::new();
    served.database.create_collection(NewCollection::named("c")).expect("a collection");
    let written =
        served.database.collection("c").expect("it is there").put("k", &1).expect("a put");
    let status = served.get("/v1/status").ok();
    assert_eq!(status["health"], "Ok");
    assert!(status["durable_lsn"].as_u64() >= Some(written.lsn.get()), "{status}");
    assert_eq!(status["vshards"].as_array().map(Vec::len), Some(2), "{status}");
    assert_eq!(status["holds"][0]["name"], "redo", "{status}");
}

#[test]
fn metrics_are_text_that_prometheus_reads() {
    let served = Served::new();
    served.database.create_collection(NewCollection::named("c")).expect("a collection");
    let response = served.get("/metrics");
    assert_eq!(response.status, 200, "{response:?}");
    assert!(response.head.contains("content-type: text/plain; version=0.0.4"), "{response:?}");
    let durable = served.database.status().expect("a status").durable_lsn.expect("a record");
    let sample = format!("nodedb_durable_lsn {durable}\n");
    assert!(response.body.contains(&sample), "{sample}: {}", response.body);
    for line in response.body.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').expect("a sample");
        assert!(name.starts_with("nodedb_"), "{line}");
        assert!(value.parse::<f64>().is_ok(), "{line}");
        let family = name.split('{').next().expect("a name");
        assert!(response.body.contains(&format!("# TYPE {family} gauge\n")), "{line}");
    }
}

#[test]
fn every_metric_is_documented() {
    let docs = include_str!("../../../../docs/metrics.md");
    let served = Served::new();
    let body = served.get("/metrics").body;
    let families: Vec<_> = body.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    assert!(families.len() > 10, "{families:?}");
    for family in families {
        let name = family.split(' ').next().expect("a name");
        assert!(docs.contains(&format!("`{name}`")), "{name} is not in docs/metrics.md");
    }
}

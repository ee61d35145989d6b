use super::world::*;
use nodedb_types::Durability;
use std::collections::VecDeque;
#[test]
fn perf() {
    let world = World::new(8, options(2));
    for (name, level, depth, n) in [("sync1", Durability::Sync, 1, 3000), ("sync256", Durability::Sync, 256, 100_000), ("periodic256", PERIODIC, 256, 200_000)] {
        let t = world.env.clock.now();
        let mut q = VecDeque::new();
        for i in 0..n {
            let v = format!("{{\"x\":\"{}\"}}", "y".repeat(200));
            q.push_back(world.send(vshard((i % 8) as u16), at(put(&format!("k{i}"), &v), level)));
            if q.len() >= depth { written(q.pop_front().unwrap().wait().unwrap()); }
        }
        for t in q { written(t.wait().unwrap()); }
        let e = world.env.clock.now() - t;
        println!("{name}: {:.0}/s", f64::from(n) / e.as_secs_f64());
    }
    let t = world.env.clock.now();
    let n = 50_000;
    let mut q = VecDeque::new();
    for i in 0..n {
        q.push_back(world.send(vshard((i % 8) as u16), get(NOTES, &format!("k{i}"), crate::Consistency::Strong)));
        if q.len() >= 256 { assert!(value(q.pop_front().unwrap().wait().unwrap()).is_some()); }
    }
    drop(q);
    println!("get256: {:.0}/s", f64::from(n) / (world.env.clock.now() - t).as_secs_f64());
}

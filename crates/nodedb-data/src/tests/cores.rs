//! Another number of cores at every open: vshards move, and nothing of them changes.

use super::world::{World, delete, effective, options, proven, put};
use crate::VshardFloors;
use nodedb_engine::EngineKind;
use nodedb_types::{Lsn, VshardId};
use std::collections::BTreeMap;

const VSHARDS: u16 = 5;

type Rows = Vec<Vec<(String, String)>>;

fn rows(world: &World) -> Rows {
    (0..VSHARDS).map(|id| world.scan(id, 3)).collect()
}

/// What the tables prove by themselves.
fn documents(floors: &VshardFloors) -> Option<Lsn> {
    let kinds = floors.floors.iter().zip(effective(floors));
    kinds.filter(|((kind, _), _)| *kind == EngineKind::Documents).find_map(|(_, floor)| floor)
}

/// Some vshards are flushed and some are not, some batches span vshards that the next open puts on one core
/// and that were on several, and the other way round.
#[test]
fn data_floors_and_batches_outlive_every_number_of_cores() {
    let mut world = World::new(VSHARDS, options(1));
    let mut model: Vec<BTreeMap<String, String>> = vec![BTreeMap::new(); usize::from(VSHARDS)];
    for (round, cores) in [3_u16, 2, 1, 4].into_iter().enumerate() {
        let value = format!("{round}");
        for (id, rows) in (0_u16..).zip(&mut model) {
            world.put(id, &format!("own-{round}"), &value);
            rows.insert(format!("own-{round}"), value.clone());
        }
        let flushed = [1, 3].map(|id| world.flush(id).expect("flushed"));
        let group = world.send_group(vec![
            (0, vec![put("all", &value)]),
            (1, vec![delete("own-0"), put("all", &value)]),
            (4, vec![put("all", &value)]),
        ]);
        assert!(group.wait().expect("an answer").is_ok());
        for id in [0, 1, 4] {
            model[id].insert("all".to_owned(), value.clone());
        }
        model[1].remove("own-0");

        world = world.kill(cores);
        let expected: Rows = model.iter().map(|rows| rows.clone().into_iter().collect()).collect();
        assert_eq!(rows(&world), expected, "{cores} cores");
        for before in flushed {
            let id = before.vshard.get();
            let (now, before) = (documents(&world.status(id).floors), documents(&before));
            assert!(now.is_some() && now <= before, "vshard {id} on {cores} cores: {now:?}");
        }
    }
    // A checkpoint that names the floors finds them with yet another number of cores.
    let floors: Vec<_> = (0..VSHARDS).map(|id| world.flush(id).expect("flushed")).collect();
    assert!((0..VSHARDS).map(VshardId::new).eq(floors.iter().map(|floors| floors.vshard)));
    let before = rows(&world);
    let left = world.die();
    let world = World::open(left, VSHARDS, options(2), proven(&floors)).expect("opens");
    assert_eq!(world.replayed.records, 0, "the tables have everything");
    assert_eq!(rows(&world), before);
    world.close();
}

// evaluation.json: sampling runs against held-out real pictures. Written by dlabel evaluate, one object:
//
//   {"kind": "evaluation",
//    "features": {"run": DIR, "count": 512, "channels": 1, "size": 64},   of features.h; size 0: pictures as they are
//    "data": DIR, "image_size": 64, "k": 5,                               k: neighbours of precision .. coverage
//    "training": 1080, "held_out": 120, "held_out_split": "test",         real pictures; held out: never trained on
//    "copy_distance": 0.21,         nearer than this counts as the same picture (memorisation.h)
//    "median_held_out": 0.30,       median distance of a held-out real picture to its nearest training picture
//    "held_out_dice": DICE,         of held-out pictures against their own masks: what a sample can reach
//    "runs": [RUN, ..],             in the order of --samples
//    "real": PART}                  training pictures, as many as the first run has: what a perfect sampler would get
//
//   PART = {"n": 200,
//           "kid": ESTIMATE, "fid": ESTIMATE,                             against the held-out pictures
//           "precision": SHARE, "density": ESTIMATE,                      of the samples
//           "recall": SHARE, "coverage": SHARE,                           of the held-out pictures
//           "outside_energy": ESTIMATE or null}                           mean share of energy outside of the sector
//   RUN = PART and {"samples": DIR,
//           "copies": SHARE,               nearer to a training picture than copy_distance
//           "median_nearest": 0.29,        median distance to the nearest training picture
//           "closer_than_held_out": 0.5,   chance that a sample is nearer to the training set than a held-out picture is
//           "pairs": [{"file": PNG, "training": PNG, "distance": 0.1}, ..],   the nearest 8, nearest first
//           "distinct": SHARE,             near-duplicates within the run count once
//           "dice": DICE}                  of the samples against the masks they were drawn from
//   DICE = {"liver": ESTIMATE, ..}         by class, mean over pictures; null without --segmenter
//   ESTIMATE = {"value", "low", "high"}    SHARE = {"k", "n", "fraction", "low", "high"}    95 % intervals
//
// FID shrinks as n grows: compare runs of equal n only. `real` has no memorisation: it is the training set.
#pragma once

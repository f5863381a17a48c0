// evaluation.json: sampling runs against held-out real pictures. Written by dlabel evaluate, one object:
//
//   {"kind": "evaluation",
//    "features": {"run": DIR, "count": 512, "channels": 1, "size": 64},   of features.h; size 0: pictures as they are
//    "judge": {"run": DIR, "tau": 0.5},                                   null without --judge
//    "data": DIR, "image_size": 64, "k": 5,                               k: neighbours of precision .. coverage
//    "training": 1080, "held_out": 120, "held_out_split": "test",         real pictures; held out: never trained on
//    "copy_distance": 0.21,         nearer than this counts as the same picture (memorisation.h)
//    "copy_detail": 0.52,           and what shares more detail with one (shared_detail, copy_detail there)
//    "held_out_copied_detail": SHARE,   of held-out pictures, as `copied_detail` of a run
//    "median_held_out": 0.30,       median distance of a held-out real picture to its nearest training picture
//    "held_out_dice": DICE,         of held-out pictures against their own masks: what a sample can reach
//    "held_out_judged_good": SHARE, of held-out pictures, as `judged_good` of a run
//    "runs": [RUN, ..],             in the order of --samples
//    "real": PART}                  training pictures, as many as the first run has: what a perfect sampler would get
//
//   PART = {"n": 200,
//           "kid": ESTIMATE, "fid": ESTIMATE,                             against the held-out pictures
//           "precision": SHARE, "density": ESTIMATE,                      of the samples
//           "recall": SHARE, "coverage": SHARE,                           of the held-out pictures
//           "outside_energy": ESTIMATE or null}                           mean share of energy outside of the sector
//   RUN = PART and {"samples": [DIR, ..],     several: runs that differ in seed, taken as one
//           "kid_minus_first": ESTIMATE,      its KID less that of the first run; null for the first run itself
//           "judged_good": SHARE,             the judge scores tau or more; null without --judge
//           "copies": SHARE,               nearer to a training picture than copy_distance
//           "copied_detail": SHARE,        shares more detail with a training picture than copy_detail
//           "median_nearest": 0.29,        median distance to the nearest training picture
//           "closer_than_held_out": ESTIMATE,   chance that a sample is nearer to the training set than a held-out
//                                               picture is: 0.5 without copying
//           "pairs": [{"file": PNG, "training": PNG, "distance": 0.1}, ..],   the nearest 8, nearest first; the
//                                               training picture by its name in the data set
//           "distinct": SHARE,             near-duplicates within the run count once
//           "dice": DICE}                  of the samples against the masks they were drawn from
//   DICE = {"mean": ESTIMATE, "classes": {"liver": ESTIMATE, ..}}   mean over pictures; of a picture over its classes,
//                                          and by class; null without --segmenter
//   ESTIMATE = {"value", "low", "high"}    SHARE = {"k", "n", "fraction", "low", "high"}    95 % intervals
//
// Folders and files are named relative to this file's folder, DIR of features and judge as they were given.
// FID shrinks as n grows: compare runs of equal n only (--count). `real` has no memorisation: it is the training set.
#pragma once

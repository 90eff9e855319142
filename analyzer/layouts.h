/* SPDX-License-Identifier: MIT */
/*
 * Layouts of the inventory's types from the DWARF of the tally's modules, as pahole shows them. Needs the modules'
 * own files, with the recorded build-id; where they or their DWARF are missing, nothing is added. Structs only: of an
 * enum's variants no one can say which bytes are in use.
 */
#ifndef HEAPTALLY_LAYOUTS_H
#define HEAPTALLY_LAYOUTS_H

#include "inventory.h"
#include "tally.h"

/* 0 or -1: out of memory. */
int layouts_find(struct inventory *inventory, const struct tally *t, struct error *e);

#endif

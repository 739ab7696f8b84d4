/* The rows that a network gets one after the other, where it takes them so. LT_STREAMS lists {rows, bytes of a row} of each
   such input, LT_STREAM_BYTES is their sum: `-DLT_STREAMS="{96, 288}" -DLT_STREAM_BYTES=27648`. */
#ifndef LT_ROWS_H
#define LT_ROWS_H

#ifdef LT_STREAM_BYTES
/* All inputs that arrive row by row, one behind the other: the camera, so to speak. */
extern unsigned char lt_rows[LT_STREAM_BYTES];
#endif

#endif

"""Of which kind instructions are: loads, stores, multiplies, divides, branches, others."""

from __future__ import annotations

import numpy as np
import pytest

from lowtide.emulate.measure.counting import Executed, Isa, executed_instructions
from lowtide.emulate.measure.decode import decode
from lowtide.emulate.measure.mix import Mix, mix_of
from lowtide.errors import InternalError

# Bytes as an assembler wrote them, kind, registers of 32 bits that are loaded or stored, and what it is.
THUMB = """
0868      load      1  ldr r0, [r1]
11f90200  load      1  ldrsb.w r0, [r1, r2]
d2e90001  load      2  ldrd r0, r1, [r2]
0ec8      load      3  ldm r0!, {r1, r2, r3}
10e90601  load      3  ldmdb r0, {r1, r2, r8}
30bd      load      3  pop {r4, r5, pc}
bde81081  load      3  pop.w {r4, r8, pc}
90ed000a  load      1  vldr s0, [r0]
90ed000b  load      2  vldr d0, [r0]
b0ec040a  load      4  vldmia r0!, {s0-s3}
bdec048b  load      4  vpop {d8, d9}
51e8000f  load      1  ldrex r0, [r1]
d1e8af0f  load      1  lda r0, [r1]
0870      store     1  strb r0, [r1]
c2e90001  store     2  strd r0, r1, [r2]
06c0      store     2  stm r0!, {r1, r2}
10b5      store     2  push {r4, lr}
80ed000a  store     1  vstr s0, [r0]
20ed080b  store     8  vstmdb r0!, {d0-d3}
2ded028b  store     2  vpush {d8}
c1e8af0f  store     1  stl r0, [r1]
4843      multiply  0  muls r0, r1, r0
01fb02f8  multiply  0  mul r8, r1, r2
01fb0230  multiply  0  mla r0, r1, r2, r3
01fb1230  multiply  0  mls r0, r1, r2, r3
82fb0301  multiply  0  smull r0, r1, r2, r3
a2fb0301  multiply  0  umull r0, r1, r2, r3
c2fb0301  multiply  0  smlal r0, r1, r2, r3
e2fb0301  multiply  0  umlal r0, r1, r2, r3
e2fb6301  multiply  0  umaal r0, r1, r2, r3
21fb0230  multiply  0  smlad r0, r1, r2, r3
21fb1230  multiply  0  smladx r0, r1, r2, r3
c2fbc301  multiply  0  smlald r0, r1, r2, r3
41fb0230  multiply  0  smlsd r0, r1, r2, r3
21fb02f0  multiply  0  smuad r0, r1, r2
11fb0230  multiply  0  smlabb r0, r1, r2, r3
11fb02f0  multiply  0  smulbb r0, r1, r2
31fb0230  multiply  0  smlawb r0, r1, r2, r3
51fb02f0  multiply  0  smmul r0, r1, r2
51fb12f0  multiply  0  smmulr r0, r1, r2
51fb0230  multiply  0  smmla r0, r1, r2, r3
61fb1230  multiply  0  smmlsr r0, r1, r2, r3
c2fb8301  multiply  0  smlalbb r0, r1, r2, r3
20ee810a  multiply  0  vmul.f32 s0, s1, s2
00ee810a  multiply  0  vmla.f32 s0, s1, s2
00eec10a  multiply  0  vmls.f32 s0, s1, s2
20eec10a  multiply  0  vnmul.f32 s0, s1, s2
a0ee810a  multiply  0  vfma.f32 s0, s1, s2
a0eec10a  multiply  0  vfms.f32 s0, s1, s2
90eec10a  multiply  0  vfnma.f32 s0, s1, s2
91fbf2f0  divide    0  sdiv r0, r1, r2
b1fbf2f0  divide    0  udiv r0, r1, r2
80ee810a  divide    0  vdiv.f32 s0, s1, s2
ffe7      branch    0  b 1f
fed0      branch    0  beq 1b
bff4fdaf  branch    0  bhs.w 1b
fff7fbff  branch    0  bl 1b
7047      branch    0  bx lr
9847      branch    0  blx r3
dfe800f0  branch    0  tbb [pc, r0]
dfe810f0  branch    0  tbh [pc, r0, lsl #1]
21ea0200  other     0  bic r0, r1, r2
8843      other     0  bics r0, r1
61f3c600  other     0  bfi r0, r1, #3, #4
6ff3c600  other     0  bfc r0, #3, #4
2ffa81f0  other     0  sxtb16 r0, r1
21fa92f0  other     0  sxtab16 r0, r1, r2, ror #8
c1ea0240  other     0  pkhbt r0, r1, r2, lsl #16
c1ea2240  other     0  pkhtb r0, r1, r2, asr #16
01f30700  other     0  ssat r0, #8, r1
21f30700  other     0  ssat16 r0, #8, r1
81f30800  other     0  usat r0, #8, r1
82fa81f0  other     0  qadd r0, r1, r2
91fa02f0  other     0  sadd16 r0, r1, r2
c1fa52f0  other     0  uqsub8 r0, r1, r2
a1fa82f0  other     0  sel r0, r1, r2
71fb0230  other     0  usada8 r0, r1, r2, r3
c8b2      other     0  uxtb r0, r1
41f3c700  other     0  sbfx r0, r1, #3, #8
c1f3c700  other     0  ubfx r0, r1, #3, #8
40f20300  other     0  movw r0, #3
c0f20300  other     0  movt r0, #3
6fea0100  other     0  mvn r0, r1
c800      other     0  lsls r0, r1, #3
b1fa81f0  other     0  clz r0, r1
08ba      other     0  rev r0, r1
8842      other     0  cmp r0, r1
0ff20000  other     0  adr r0, 3f
00bf      other     0  nop
eff30080  other     0  mrs r0, apsr
80f30088  other     0  msr apsr_nzcvq, r0
00ee100a  other     0  vmov s0, r0
51ec100a  other     0  vmov r0, r1, s0, s1
b0ee600a  other     0  vmov.f32 s0, s1
bdeee00a  other     0  vcvt.s32.f32 s0, s1
b4ee600a  other     0  vcmp.f32 s0, s1
f1ee10fa  other     0  vmrs apsr_nzcv, fpscr
30ee810a  other     0  vadd.f32 s0, s1, s2
b1eee00a  other     0  vsqrt.f32 s0, s1
b8fe600a  other     0  vrinta.f32 s0, s1
80fe810a  other     0  vmaxnm.f32 s0, s1, s2
20fe810a  other     0  vselge.f32 s0, s1, s2
90f800f0  other     0  pld [r0]
bff35f8f  other     0  dmb sy
08bf      other     0  it eq
0844      other     0  addeq r0, r1
bff32f8f  other     0  clrex
0130      other     0  adds r0, #1
881a      other     0  subs r0, r1, r2
"""
HELIUM = """
90ed001e  load      4  vldrb.u8 q0, [r0]
b0ec10fe  load      4  vldrb.u8 q7, [r0], #16
90ed882e  load      4  vldrb.s16 q1, [r0, #8]
90fd002f  load      4  vldrb.u32 q1, [r0]
10ed813e  load      4  vldrh.u16 q1, [r0, #-2]
b1ed005f  load      4  vldrw.u32 q2, [r1]!
b1ed045f  load      4  vldrw.u32 q2, [r1, #16]!
9ded045f  load      4  vldrw.u32 q2, [sp, #16]
90fc042e  load      4  vldrb.u8 q1, [r0, q2]
90fc952e  load      4  vldrh.u16 q1, [r0, q2, uxtw #1]
90fc452f  load      4  vldrw.u32 q1, [r0, q2, uxtw #2]
94fd013e  load      4  vldrw.u32 q1, [q2, #4]
90fcd42f  load      4  vldrd.u64 q1, [r0, q2]
b4fd013f  load      4  vldrd.u64 q1, [q2, #8]!
90fc001e  load      4  vld20.8 {q0, q1}, [r0]
b0fc201e  load      4  vld21.8 {q0, q1}, [r0]!
90fc811e  load      4  vld40.16 {q0, q1, q2, q3}, [r0]
80ed001e  store     4  vstrb.8 q0, [r0]
a0ec040f  store     4  vstrb.32 q0, [r0], #4
80ed801e  store     4  vstrh.16 q0, [r0]
80ed001f  store     4  vstrw.32 q0, [r0]
80ec020e  store     4  vstrb.8 q0, [r0, q1]
82fd011e  store     4  vstrw.32 q0, [q1, #4]
80fc001e  store     4  vst20.8 {q0, q1}, [r0]
80fc611e  store     4  vst43.8 {q0, q1, q2, q3}, [r0]
01ec000f  other     0  vmov r0, r1, q0[2], q0[0]
11ec000f  other     0  vmov q0[2], q0[0], r0, r1
20ee100b  other     0  vmov.32 q0[1], r0
50ee300b  other     0  vmov.s8 r0, q0[1]
30ee100b  other     0  vmov.32 r0, q0[1]
02ef5409  multiply  0  vmul.i8 q0, q1, q2
22ef5409  multiply  0  vmul.i32 q0, q1, q2
13ee601e  multiply  0  vmul.i16 q0, q1, r0
02ff540d  multiply  0  vmul.f32 q0, q1, q2
33ee600e  multiply  0  vmul.f32 q0, q1, r0
23ee400e  multiply  0  vmla.i32 q0, q1, r0
0dee4bee  multiply  0  vmla.i8 q7, q6, r11
23ee401e  multiply  0  vmlas.i32 q0, q1, r0
f0ee220f  multiply  0  vmladava.s8 r0, q0, q1
f0ee220f  multiply  0  vmlava.s8 r0, q0, q1
f0ee020f  multiply  0  vmlav.s8 r0, q0, q1
f0fe020f  multiply  0  vmlav.u8 r0, q0, q1
feee0a2e  multiply  0  vmlav.s16 r2, q7, q5
fffe2a2e  multiply  0  vmlava.u32 r2, q7, q5
f0ee021e  multiply  0  vmladavx.s16 r0, q0, q1
f0ee030e  multiply  0  vmlsdav.s16 r0, q0, q1
80ee020e  multiply  0  vmlalv.s16 r0, r1, q0, q1
81ee220e  multiply  0  vmlalva.s32 r0, r1, q0, q1
80ee020f  multiply  0  vrmlalvh.s32 r0, r1, q0, q1
80fe030e  multiply  0  vrmlsldavh.s32 r0, r1, q0, q1
03ee040e  multiply  0  vmullb.s8 q0, q1, q2
13fe041e  multiply  0  vmullt.u16 q0, q1, q2
23ee040e  multiply  0  vmullb.s32 q0, q1, q2
33ee040e  multiply  0  vmullb.p8 q0, q1, q2
23ee050e  multiply  0  vmulh.s32 q0, q1, q2
23ee051e  multiply  0  vrmulh.s32 q0, q1, q2
22ef440b  multiply  0  vqdmulh.s32 q0, q1, q2
22ff440b  multiply  0  vqrdmulh.s32 q0, q1, q2
23ee600e  multiply  0  vqdmulh.s32 q0, q1, r0
13fe600e  multiply  0  vqrdmulh.s16 q0, q1, r0
22ee600e  multiply  0  vqdmlah.s32 q0, q1, r0
22ee400e  multiply  0  vqrdmlah.s32 q0, q1, r0
22ee601e  multiply  0  vqdmlash.s32 q0, q1, r0
22ee401e  multiply  0  vqrdmlash.s32 q0, q1, r0
22ee040e  multiply  0  vqdmladh.s32 q0, q1, q2
22ee051e  multiply  0  vqrdmladhx.s32 q0, q1, q2
22fe040e  multiply  0  vqdmlsdh.s32 q0, q1, q2
32ee050f  multiply  0  vqdmullb.s16 q0, q1, q2
32fe051f  multiply  0  vqdmullt.s32 q0, q1, q2
32ee600f  multiply  0  vqdmullb.s16 q0, q1, r0
02ef540c  multiply  0  vfma.f32 q0, q1, q2
22ef540c  multiply  0  vfms.f32 q0, q1, q2
33ee400e  multiply  0  vfma.f32 q0, q1, r0
33ee401e  multiply  0  vfmas.f32 q0, q1, r0
32fe040e  multiply  0  vcmul.f32 q0, q1, q2, #0
32fc4408  multiply  0  vcmla.f32 q0, q1, q2, #0
22ef4408  other     0  vadd.i32 q0, q1, q2
03ee400f  other     0  vadd.i8 q0, q1, r0
03ee401f  other     0  vsub.i8 q0, q1, r0
22ff4408  other     0  vsub.i32 q0, q1, q2
f9ee000f  other     0  vaddv.s32 r0, q0
f1ee200f  other     0  vaddva.s8 r0, q0
89ee000f  other     0  vaddlv.s32 r0, r1, q0
02ee600f  other     0  vqadd.s8 q0, q1, r0
02ee400f  other     0  vhadd.s8 q0, q1, r0
02ef4400  other     0  vhadd.s8 q0, q1, q2
02fe040f  other     0  vcadd.i8 q0, q1, q2, #90
02ee040f  other     0  vhcadd.s8 q0, q1, q2, #90
22ef4406  other     0  vmax.s32 q0, q1, q2
e2ee800f  other     0  vminv.s8 r0, q0
eafe000f  other     0  vmaxv.u32 r0, q0
e0ee800f  other     0  vminav.s8 r0, q0
02ef4407  other     0  vabd.s8 q0, q1, q2
82ee050f  other     0  vabav.s8 r0, q1, q2
80ef5000  other     0  vmov.i32 q0, #0
22ef5201  other     0  vmov q0, q1
b0ffc205  other     0  vmvn q0, q1
02ff5401  other     0  veor q0, q1, q2
a2ef5205  other     0  vshl.i32 q0, q1, #2
beef5200  other     0  vshr.s32 q0, q1, #2
beef5202  other     0  vrshr.s32 q0, q1, #2
39ee601e  other     0  vshl.s32 q0, r0
24ef4205  other     0  vrshl.s32 q0, q1, q2
3bee601e  other     0  vrshl.s32 q0, r0
3beee01e  other     0  vqrshl.s32 q0, r0
23fe601e  other     0  vbrsr.32 q0, q1, r0
37ee030e  other     0  vqmovnb.s32 q0, q1
31ee830e  other     0  vqmovunb.s16 q0, q1
35fe830e  other     0  vmovnb.i32 q0, q1
a8ee420f  other     0  vmovlb.s8 q0, q1
abee420f  other     0  vshllb.s8 q0, q1, #3
31ee030e  other     0  vshllb.s8 q0, q1, #8
9dee420f  other     0  vqshrnb.s32 q0, q1, #3
a0eec00f  other     0  vshlc q0, r0, #32
33fe050f  other     0  vpsel q0, q1, q2
71fe4d0f  other     0  vpst
21fe821f  other     0  vcmp.s32 lt, q0, q1
01fe611f  other     0  vcmp.s8 gt, q0, r1
31fe4d0f  other     0  vpnot
00f001e8  other     0  vctp.8 r0
21ee6e0f  other     0  vidup.u32 q0, r0, #1
01ee6f1f  other     0  vddup.u8 q0, r0, #2
21ee600f  other     0  viwdup.u32 q0, r0, r1, #1
32ee040f  other     0  vadc.i32 q0, q1, q2
32fe040f  other     0  vsbc.i32 q0, q1, q2
32ee041f  other     0  vadci.i32 q0, q1, q2
bbff4206  other     0  vcvt.f32.s32 q0, q1
b8ffc204  other     0  vclz.i32 q0, q1
33ee830e  other     0  vmaxa.s8 q0, q1
02ff540f  other     0  vmaxnm.f32 q0, q1, q2
32ee400f  other     0  vadd.f32 q0, q1, r0
90ed000a  load      1  vldr s0, [r0]
00ee1009  other     0  vmov.f16 s0, r0
d0ed80ef  load      1  vldr fpcxts, [r0]
c0ed80af  store     1  vstr p0, [r0]
edee100a  other     0  vmsr p0, r0
fdee100a  other     0  vmrs r0, p0
9fec010a  other     0  vscclrm {s0, vpr}
b0fee00a  other     0  vins.f16 s0, s1
40f001e0  other     0  dls lr, r0
00f001e0  other     0  dlstp.8 lr, r0
00f00bc0  branch    0  wlstp.8 lr, r0, 1f
40f009c0  branch    0  wls lr, r0, 1f
0ff003c0  branch    0  le lr, 2b
1ff005c0  branch    0  letp lr, 2b
0ff001e0  other     0  lctp
2ff009c0  branch    0  le 2b
51ea0280  other     0  csel r0, r1, r2, eq
51ea0290  other     0  csinc r0, r1, r2, eq
5fea1f90  other     0  cset r0, eq
9fe80300  other     0  clrm {r0, r1}
50eaef01  other     0  asrl r0, r1, #3
50ea0d21  other     0  lsll r0, r1, r2
51ea2d21  other     0  sqrshrl r0, r1, #64, r2
50ea2d1f  other     0  sqrshr r0, r1
51eacf01  other     0  uqshll r0, r1, #3
50eaef0f  other     0  srshr r0, #3
aff30f80  other     0  bti
aff30d80  other     0  pacbti r12, lr, sp
f0fe030e  multiply  0  vmlsdav.s8 r0, q0, q1
ffee2fce  multiply  0  vmlsdava.s32 r12, q7, q7
fefe2d1e  multiply  0  vmlsdavax.s8 r0, q7, q6
dfee2d1e  multiply  0  vmlsldavax.s32 r0, r11, q7, q6
ceee2c1f  multiply  0  vrmlaldavhax.s32 r0, r9, q7, q6
cefe2cef  multiply  0  vrmlalvha.u32 r14, r9, q7, q6
cefe2cee  multiply  0  vmlalva.u16 r14, r9, q7, q6
aefe0dcf  other     0  vabav.u32 r12, q7, q6
c9fe2ecf  other     0  vaddlva.u32 r12, r9, q7
f5fe2ecf  other     0  vaddva.u16 r12, q7
eeee020f  other     0  vmaxnmv.f32 r0, q1
ecfe820f  other     0  vminnmav.f16 r0, q1
e8ee0ecf  other     0  vmaxav.s32 r12, q7
2dfe0afe  multiply  0  vmullt.u32 q7, q6, q5
0dfe0bee  multiply  0  vmulh.u8 q7, q6, q5
0cef4aeb  multiply  0  vqdmulh.s8 q7, q6, q5
3dfe6cee  multiply  0  vmul.f16 q7, q6, r12
32ee051e  multiply  0  vcmul.f16 q0, q1, q2, #270
02fe051e  multiply  0  vqrdmlsdhx.s8 q0, q1, q2
31fe6cfe  other     0  vshl.u8 q7, r12
35eeecfe  other     0  vqshl.s16 q7, r12
0dfe6cfe  other     0  vbrsr.8 q7, q6, r12
33fe0dfe  other     0  vqmovnt.u16 q7, q6
35ee8dfe  other     0  vqmovunt.s32 q7, q6
31fe8dfe  other     0  vmovnt.i16 q7, q6
37ee8dfe  other     0  vmina.s16 q7, q6
3fee8dee  other     0  vmaxnma.f32 q7, q6
35fe0dfe  other     0  vshllt.u16 q7, q6, #16
3fee0dee  other     0  vcvtb.f16.f32 q7, q6
3ffe0dfe  other     0  vcvtt.f32.f16 q7, q6
3cee4cff  other     0  vsub.f32 q7, q6, r12
2cee0aff  other     0  vhcadd.s32 q7, q6, q5, #270
9cfd4ae8  other     0  vcadd.f32 q7, q6, q5, #270
31ee021f  other     0  vcmp.f32 ge, q0, q1
2ffe6c0f  other     0  vcmp.u32 cs, q7, r12
3cee0aff  other     0  vadci.i32 q7, q6, q5
3cfe0aff  other     0  vsbci.i32 q7, q6, q5
9dfeccef  other     0  vqrshrunb.s32 q7, q6, #3
8dfecdff  other     0  vrshrnt.i16 q7, q6, #3
bdff5ce4  other     0  vsri.32 q7, q6, #3
8bff5ce6  other     0  vqshlu.s8 q7, q6, #3
"""
RV32 = """
d772050c  other     0  vsetvli t0, a0, e8, m1, ta, ma
07040502  load      0  vle8.v v8, (a0)
0764b50a  load      0  vlse32.v v8, (a0), a1
27640502  store     0  vse32.v v8, (a0)
57040c03  other     0  vadd.vv v8, v16, v24
57240c97  multiply  0  vmul.vv v8, v16, v24
576485b7  multiply  0  vmacc.vx v8, a0, v24
57240aef  multiply  0  vwmul.vv v8, v16, v20
576445f7  multiply  0  vwmacc.vx v8, a0, v20
57240c03  other     0  vredsum.vs v8, v16, v24
57640587  divide    0  vdiv.vx v8, v16, a0
57040c9f  multiply  0  vsmul.vv v8, v16, v24
57540593  multiply  0  vfmul.vf v8, v16, fa0
571488b3  multiply  0  vfmacc.vv v8, v16, v24
57140c83  divide    0  vfdiv.vv v8, v16, v24
57140c03  other     0  vfadd.vv v8, v16, v24
57240ac3  other     0  vwaddu.vv v8, v16, v20
5724034b  other     0  vzext.vf2 v8, v16
57b4003b  other     0  vslideup.vi v8, v16, 1
8841      load      1  c.lw a0, 0(a1)
0245      load      1  c.lwsp a0, 0(sp)
03c50500  load      1  lbu a0, 0(a1)
8861      load      1  flw fa0, 0(a1)
8821      load      2  fld fa0, 0(a1)
2ac0      store     1  c.swsp a0, 0(sp)
2380a500  store     1  sb a0, 0(a1)
88e1      store     1  fsw fa0, 0(a1)
3385c502  multiply  0  mul a0, a1, a2
33a5c502  multiply  0  mulhsu a0, a1, a2
43f5c568  multiply  0  fmadd.s fa0, fa1, fa2, fa3
53f5c510  multiply  0  fmul.s fa0, fa1, fa2
33c5c502  divide    0  div a0, a1, a2
33f5c502  divide    0  remu a0, a1, a2
53f5c518  divide    0  fdiv.s fa0, fa1, fa2
6300b500  branch    0  beq a0, a1, 0
6370b500  branch    0  bgeu a0, a1, 0
01e1      branch    0  c.bnez a0, 0
01a0      branch    0  c.j 0
0120      branch    0  jal 0
8280      branch    0  ret
0285      branch    0  c.jr a0
0295      branch    0  jalr a0
2e95      other     0  c.add a0, a1
2e85      other     0  c.mv a0, a1
0d8d      other     0  c.sub a0, a1
13d53540  other     0  srai a0, a1, 3
33b5c500  other     0  sltu a0, a1, a2
0e05      other     0  slli a0,a0,3
1565      other     0  lui a0, 5
17150000  other     0  auipc a0, 1
0561      other     0  c.addi16sp sp, 32
0d65      other     0  c.lui a0, 3
0545      other     0  c.li a0,1
5385c520  other     0  fsgnj.s fa0,fa1,fa2
531505c0  other     0  fcvt.w.s a0,fa0,rtz
5315b5a0  other     0  flt.s a0,fa0,fa1
530505f0  other     0  fmv.w.x fa0,a0
5305b528  other     0  fmin.s fa0,fa0,fa1
73251000  other     0  csrr a0, fflags
"""
TABLES: tuple[tuple[Isa, str], ...] = (("thumb", THUMB), ("thumb", HELIUM), ("rv32", RV32))
ROWS = [(isa, *row.split(maxsplit=3)) for isa, table in TABLES for row in table.strip().splitlines()]


@pytest.mark.parametrize(("isa", "code", "kind", "words", "text"), ROWS, ids=[row[-1] for row in ROWS])
def test_an_instruction_is_of_the_kind_that_the_manual_says(
    isa: Isa, code: str, kind: str, words: str, text: str
) -> None:
    found = decode(bytes.fromhex(code), isa)
    assert (found.kind, found.words) == (kind, int(words)), text


@pytest.mark.parametrize(("isa", "code"), [("thumb", "fdff"), ("rv32", "ffffffff"), ("rv32", "7f000000")])
def test_what_is_no_instruction_is_refused(isa: Isa, code: str) -> None:
    with pytest.raises(InternalError, match=f"no known {isa} instruction"):
        decode(bytes.fromhex(code), isa)


def test_a_loop_is_counted_by_kind() -> None:
    # push {r4, lr}; then five times ldr, mla (four bytes), str, bne; pop {r4, pc}
    parts = ["10b5", "0868", "01fb0230", "0870", "fbd1", "10bd"]
    code = bytes.fromhex("".join(parts))
    marks = np.zeros(len(code) // 2 + 1, dtype=np.int64)
    for first, behind, times in ((0, 1, 1), (1, 6, 5), (6, 7, 1)):
        marks[first] += times
        marks[behind] -= times
    executed = executed_instructions(code, marks, "thumb")
    assert executed.offsets.tolist() == [0, 2, 4, 8, 10, 12]
    assert executed.times.tolist() == [1, 5, 5, 5, 5, 1]
    mix = mix_of(code, executed, "thumb")
    assert mix == Mix(loads=6, stores=6, multiplies=5, branches=5, loaded_words=7, stored_words=7)
    assert mix.instructions == executed.total == 22
    inside = executed.between(2, 12)
    assert mix_of(code, inside, "thumb") + mix_of(code, executed.between(0, 2), "thumb") == Mix(
        loads=5, stores=6, multiplies=5, branches=5, loaded_words=5, stored_words=7
    )


def test_compressed_and_wide_risc_v_are_told_apart() -> None:
    # c.lw, mul, c.add, div, c.jr
    code = bytes.fromhex("88413385c5022e9533c5c5028280")
    marks = np.zeros(len(code) // 2 + 1, dtype=np.int64)
    marks[0], marks[len(code) // 2] = 3, -3
    executed = executed_instructions(code, marks, "rv32")
    expected = Mix(loads=3, multiplies=3, divides=3, branches=3, others=3, loaded_words=3)
    assert mix_of(code, executed, "rv32") == expected
    assert executed.total == 15


def test_nothing_executed_is_nothing() -> None:
    nothing = Executed(np.empty(0, np.int64), np.empty(0, np.int64))
    assert mix_of(b"", nothing, "thumb") == Mix()
    assert nothing.total == 0

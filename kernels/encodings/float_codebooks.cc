#include "kernels/encodings/float_codebooks.h"

namespace bramble::kernels {

const float nf4_values[16] = {-0x1.000000p+0F, -0x1.647362p-1F, -0x1.0cd660p-1F, -0x1.946540p-2F,
                              -0x1.23449ap-2F, -0x1.7a6a7ep-3F, -0x1.74f0e2p-4F, 0.0F,
                              0x1.45f5fep-4F,  0x1.4995c6p-3F,  0x1.f809bap-3F,  0x1.5a0674p-2F,
                              0x1.c34970p-2F,  0x1.200f56p-1F,  0x1.722766p-1F,  0x1.000000p+0F};

const float fp4_values[16] = {
    0.0F, 0.0625F / 12,  8.0F / 12,  1.0F,  4.0F / 12,  6.0F / 12,  2.0F / 12,  3.0F / 12,
    0.0F, -0.0625F / 12, -8.0F / 12, -1.0F, -4.0F / 12, -6.0F / 12, -2.0F / 12, -3.0F / 12};

}  // namespace bramble::kernels

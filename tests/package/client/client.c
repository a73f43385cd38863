/* A client as somebody outside the repository writes it. */
#include <serry.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    char item[8] = "";
    serry_queue q;
    SERRY_CHECK(serry_init(&argc, &argv));
    SERRY_CHECK(serry_queue_create(&q, NULL));
    SERRY_CHECK(serry_queue_put(q, "hello", 6, SERRY_FOREVER));
    SERRY_CHECK(serry_queue_get(q, item, 6, NULL, SERRY_FOREVER));
    printf("%s from rank %d of %d, serry %s\n", item, serry_rank(), serry_size(), SERRY_VERSION);
    SERRY_CHECK(serry_finalize());
    return 0;
}

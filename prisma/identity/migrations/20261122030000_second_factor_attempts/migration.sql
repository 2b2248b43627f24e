-- AlterTable
ALTER TABLE "totp" ADD COLUMN     "failures" INTEGER NOT NULL DEFAULT 0,
ADD COLUMN     "refused_until" TIMESTAMPTZ(3);
